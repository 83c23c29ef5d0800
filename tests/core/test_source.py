"""What of a module's text is code: not comments, docstrings or layout."""

import sys

import pytest

from runner.core.source import read_source

CODE = '''\
"""A module."""

import math
from package.models import net, other as another
from . import sibling
from ..data.sets import Photos

RATE = 0.1
"""What it is."""


class Net:
    """A net."""

    def build(self, width: int = 3) -> float:
        """Build it.

        Returns: a number.
        """
        from package.models.deep import layers  # only here

        return math.sqrt(width) * RATE  # of the width


if TYPE_CHECKING:
    from package.types import Tensor
else:
    import package.fallback
'''
PACKAGE = "package.models"


def digest(text: str) -> str:
    return read_source(text.encode(), PACKAGE).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # of the width", "  # of nothing"),
        ("  # only here", ""),
        ('"""A module."""\n', ""),
        ('"""A net."""', '"""Another net."""'),
        ('"""What it is."""\n', ""),
        ("Returns: a number.", "Returns: a float."),
        ("\n\n\nclass", "\n\n\n\n\nclass"),
        (
            "math.sqrt(width) * RATE",
            "(\n            math.sqrt(width)\n            * RATE\n        )",
        ),
        ("import math\n", "import math  # noqa\r\n"),
        ("0.1", "0.10"),
        ('"""A net."""', "'A net.'"),
    ],
)
def test_digest_ignores_docstrings_and_comments(old: str, new: str) -> None:
    assert old in CODE
    assert digest(CODE.replace(old, new)) == digest(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.1", "0.2"),
        ("RATE = 0.1", "RATE = 1"),
        ("* RATE", "+ RATE"),
        ("width: int = 3", "width: int = 4"),
        ("class Net", "class Nets"),
        ("import math\n", ""),
        ("as another", "as others"),
        ("return math", "return -math"),
    ],
)
def test_digest_changes_with_the_code(old: str, new: str) -> None:
    assert old in CODE
    assert digest(CODE.replace(old, new)) != digest(CODE)


def test_digest_tells_one_from_true_and_text_from_bytes() -> None:
    values = (
        "1",
        "True",
        "1.0",
        "'1'",
        "b'1'",
        "1j",
        "None",
        "...",
        "[1]",
        "(1,)",
        "'é'",
        "'\\udc80'",
    )
    assert len({digest(f"x = {value}\n") for value in values}) == len(values)


def test_text_that_is_no_python_stands_for_itself() -> None:
    assert digest("def (") != digest("def  (")
    assert read_source(b"\xff\x00", PACKAGE).imports == ()


def test_imports_are_those_of_the_running_module_wherever_they_stand() -> None:
    assert read_source(CODE.encode(), PACKAGE).imports == (
        "math",
        "package.models",
        "package.models.net",
        "package.models.other",
        "package.models.sibling",
        "package.data.sets",
        "package.data.sets.Photos",
        "package.models.deep",
        "package.models.deep.layers",
        "package.fallback",
    )


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="known for the versions up to 3.14")
def test_digest_is_the_same_for_every_version_of_python() -> None:
    """Results of one version of Python are compared with the code as another one reads it."""
    assert digest(CODE) == "b0cdc36cb3a707d9"
    generic = (
        "def f(x: int, /, *, y=f'{1!r:>3}') -> None:\n    return [*x, {**y}] if (z := x) else 1\n"
    )
    assert digest(generic) == "d25d2b2ddc57ee95"

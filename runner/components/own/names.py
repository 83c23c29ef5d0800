"""Names of own code in specs: `nets.py:WideNet`, `vision/nets.py:WideNet`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from runner.components.own.problems import CodeProblem

FORM = "FILE.py:CLASS, as nets.py:WideNet"
LONGEST = 400
"""Letters of a name."""

_MARK = re.compile(r"\.py\s*:")
_FILE = re.compile(r"(?:[^\W\d]\w*/)*[^\W\d]\w*\.py")


class CodeName(NamedTuple):
    """A class in a Python file.

    Attributes:
        file: below what is allowed, with /.
        attribute: the class.
    """

    file: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.file}:{self.attribute}"


def is_code_name(value: Any) -> bool:
    """Return whether a component's name means own code, well formed or not."""
    return isinstance(value, str) and _MARK.search(value) is not None


def parse_code_name(text: str) -> CodeName:
    """Return the parts of a name.

    Raises:
        CodeProblem: for one of another form; a path that is absolute or leads upwards is one.
    """
    file, _, attribute = text.partition(":")
    is_well_formed = len(text) <= LONGEST and _FILE.fullmatch(file) and attribute.isidentifier()
    if not is_well_formed:
        shown = text if len(text) <= LONGEST else f"{text[:40]}…"
        hint = "folders and files are named as Python's modules are, by letters, digits and _"
        raise CodeProblem(f"{shown!r} is no name of own code", FORM, hint=hint)
    return CodeName(file, attribute)

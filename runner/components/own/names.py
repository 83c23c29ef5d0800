"""Names of own code in specs: `nets.py:WideNet`, `vision/nets.py:WideNet`, `mynets:wide_net`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from runner.components.own.problems import CodeProblem

FORM = "FILE.py:CLASS, as nets.py:WideNet, or PACKAGE:NAME, as mynets:wide_net"
PATTERN = r"\.py\s*:|^[^/]*:"
"""Of every name that means own code, well formed or not; the program's own have no colon."""
LONGEST = 400
"""Letters of a name."""

_CODE, _MARK = re.compile(PATTERN), re.compile(r"\.py\s*:")
_FILE = re.compile(r"(?:[^\W\d]\w*/)*[^\W\d]\w*\.py")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_OFFERED = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


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


class PackageName(NamedTuple):
    """What an installed package offers.

    Attributes:
        distribution: its name in its normal form, as `my-nets`.
        entry: the name under which it offers a class.
    """

    distribution: str
    entry: str

    def __str__(self) -> str:
        return f"{self.distribution}:{self.entry}"


def is_code_name(value: Any) -> bool:
    """Return whether a component's name means own code, well formed or not."""
    return isinstance(value, str) and _CODE.search(value) is not None


def parse_code_name(text: str) -> CodeName | PackageName:
    """Return the parts of a name.

    Raises:
        CodeProblem: for one of another form; a path that is absolute or leads upwards is one.
    """
    first, _, second = text.partition(":")
    if len(text) <= LONGEST:
        if _FILE.fullmatch(first) and second.isidentifier():
            return CodeName(first, second)
        is_package = _MARK.search(text) is None and _PACKAGE.fullmatch(first)
        if is_package and _OFFERED.fullmatch(second):
            return _package_name(first, second)
    shown = text if len(text) <= LONGEST else f"{text[:40]}…"
    hint = "folders and files are named as Python's modules are, by letters, digits and _"
    raise CodeProblem(f"{shown!r} is no name of own code", FORM, hint=hint)


def _package_name(distribution: str, entry: str) -> PackageName:
    name = PackageName(normal_name(distribution), entry)
    if name.distribution != distribution:
        found = f"'{distribution}:{entry}' does not have its package's name in its normal form"
        raise CodeProblem(found, "small letters, digits and -", suggestion=str(name))
    return name


def normal_name(distribution: str) -> str:
    """Return the name of a distribution as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()

"""One module of own code: its bytes as they were read once, its syntax tree, places in it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from runner.components.own.problems import CodeProblem
from runner.core.errors import SourcePosition


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A module.

    Attributes:
        path: of the file, resolved.
        shown: the same for people.
        text: its bytes, as they were read once.
        package: in which it lies, or which it is.
    """

    path: Path
    shown: str
    text: bytes
    package: str


def parsed(file: LocalFile) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        CodeProblem: when it is no Python, with the position.
    """
    try:
        return ast.parse(file.text)
    except SyntaxError as error:
        position = SourcePosition(file.shown, error.lineno or 1, error.offset or 1)
        raise CodeProblem(f"no Python: {error.msg}", position=position) from None
    except (ValueError, RecursionError, MemoryError) as error:
        position = SourcePosition(file.shown, 1, 1)
        raise CodeProblem(f"no Python: {error}", position=position) from None


def position_in(file: LocalFile, node: ast.AST) -> SourcePosition:
    """Return where a part of a file stands."""
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return SourcePosition(file.shown, line, column + 1)

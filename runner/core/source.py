"""Source files of modules: what of them is code, and which modules they import.

Owns what counts as a change of a module: not its comments, docstrings or layout. Nothing is
imported to find it out. Knows no module by name.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DIGEST_LENGTH = 16
UNSEEN = ("kind", "type_comment", "type_ignores")
"""Fields of a syntax tree that say how something is written, not what it does."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a module's text.

    Attributes:
        digest: of its code, equal for all versions of Python that read it alike.
        imports: modules and, as far as a text can tell, names in them that may be modules.
    """

    digest: str
    imports: tuple[str, ...]


def read_source(text: bytes, package: str) -> Source:
    """Return what a module's text says.

    A text that cannot be parsed, of a file that is being edited, stands for itself.

    Args:
        text: of the module.
        package: in which it lies, or which it is; relative imports begin there.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Source(hashlib.sha256(text).hexdigest()[:DIGEST_LENGTH], ())
    return read_tree(tree, package)


def read_tree(tree: ast.Module, package: str) -> Source:
    """Return what a module says, as :func:`read_source` does, whose text is parsed already."""
    pieces: list[str] = []
    _write(tree, pieces)
    digest = hashlib.sha256("".join(pieces).encode("utf-8", "surrogatepass"))
    imports = tuple(dict.fromkeys(_imports(tree, package)))
    return Source(digest.hexdigest()[:DIGEST_LENGTH], imports)


def _write(node: Any, pieces: list[str]) -> None:
    """Write a syntax tree as text, without what is empty and strings that stand for themselves."""
    if isinstance(node, ast.AST):
        pieces.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name not in UNSEEN:
                pieces.append(f"{name}=")
                _write(value, pieces)
        pieces.append(")")
    elif isinstance(node, list):
        pieces.append("[")
        for each in node:
            if not _is_docstring(each):
                _write(each, pieces)
                pieces.append(",")
        pieces.append("]")
    else:
        pieces.append(f"{type(node).__name__} {node!r} ")


def _is_docstring(node: Any) -> bool:
    """Return whether a statement is a string and nothing else, wherever it stands."""
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant and isinstance(node.value.value, str)


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    """Yield what a tree imports when it runs, within functions too; not for type checkers."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    if isinstance(node, ast.ImportFrom):
        module = _absolute(node, package)
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names)
        return
    runs = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and _is_for_types(node.test):
        runs = iter(node.orelse)
    for each in runs:
        yield from _imports(each, package)


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)

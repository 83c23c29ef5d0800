"""Annotations of own code that can be a setting's: what they allow, and as what a value is given.

They are read from the text; nothing is imported.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Mapping
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.components.own.limits import (
    DESCRIPTION,
    MAX_TEXT,
    LimitProblem,
    Limits,
    annotated_parts,
    is_unicode,
    last_name,
    of_items,
    of_number,
    of_text,
    read_limits,
    without_limits,
)
from runner.components.own.local_file import LocalFile, position_in
from runner.components.own.problems import CodeProblem

ANNOTATIONS = (
    "int, float, bool, str, Literal[…], list[…], tuple[…] of these, or … | None;"
    " Annotated[…, Field(ge=0)] of one"
)
MAX_DEPTH = 20
"""Of annotations within each other."""

PATH: Any = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
_PLAIN: Mapping[str, Callable[[Limits], Any]] = {
    "int": partial(of_number, int),
    "float": partial(of_number, float),
    "bool": partial(without_limits, bool, "bool"),
    "str": of_text,
    "None": lambda _: types.NoneType,
}


def path_type(node: ast.expr) -> Any:
    """Return the type for pydantic of a path, `Path` or `Path | None`; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return path_type(ast.parse(node.value, mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    if isinstance(node, ast.Subscript) and last_name(node.value) == "Optional":
        return None if path_type(node.slice) is None else PATH | None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = (node.left, node.right)
        nones = [isinstance(each, ast.Constant) and each.value is None for each in sides]
        other = sides[nones.index(False)] if sum(nones) == 1 else node
        is_path = not isinstance(other, ast.BinOp) and path_type(other) is not None
        return PATH | None if is_path else None
    return (
        PATH if isinstance(node, ast.Name | ast.Attribute) and last_name(node) == "Path" else None
    )


def as_annotated(node: ast.expr, value: Any) -> Any:
    """Return a setting as its annotation says: with lists, where settings hold tuples.

    Args:
        node: an annotation that can be a setting's.
        value: a right one.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return as_annotated(ast.parse(node.value, mode="eval").body, value)
    if not isinstance(value, tuple):
        return value
    if isinstance(node, ast.BinOp):  # of A | B, the one that is a list or a tuple
        return as_annotated(node.left if _holds_items(node.left) else node.right, value)
    assert isinstance(node, ast.Subscript)
    name = last_name(node.value)
    if name == "Annotated":
        assert isinstance(node.slice, ast.Tuple)
        return as_annotated(node.slice.elts[0], value)
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in ("Optional", "Union"):
        return as_annotated(next(filter(_holds_items, parts)), value)
    if name not in ("tuple", "Tuple") or _is_open(parts):
        parts = parts[:1] * len(value)
    items = (as_annotated(*each) for each in zip(parts, value, strict=True))
    return list(items) if name in ("list", "List") else tuple(items)


def _is_open(parts: list[ast.expr]) -> bool:
    """Return whether parts of an annotation are those of ``tuple[int, ...]``."""
    return len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is ...


def _holds_items(node: ast.expr) -> bool:
    """Return whether an annotation, or one of its alternatives, is a list or a tuple."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _holds_items(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp):
        return _holds_items(node.left) or _holds_items(node.right)
    if annotated := annotated_parts(node):
        return _holds_items(annotated[0])
    if not isinstance(node, ast.Subscript) or last_name(node.value) == "Literal":
        return False
    if last_name(node.value) in ("Optional", "Union"):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return any(map(_holds_items, parts))
    return True


def read_annotation(file: LocalFile, written: ast.expr) -> tuple[Any, str]:
    """Return the type for pydantic that an annotation means, and its description or "".

    Raises:
        CodeProblem: for one that is not understood, and for limits that do not fit.
    """
    try:
        inner = _unquoted(written)
        parts = annotated_parts(inner)
        said = read_limits(parts[1]) if parts else {}
        limits = {name: value for name, value in said.items() if name != DESCRIPTION}
        kind = _type(parts[0] if parts else inner, MAX_DEPTH, limits)
        return kind, " ".join(said.get(DESCRIPTION, "").split())
    except _UnknownAnnotation:
        found = f"the annotation {ast.unparse(written)} is none of a setting"
        raise CodeProblem(found, ANNOTATIONS, position=position_in(file, written)) from None
    except LimitProblem as problem:
        raise CodeProblem(
            problem.found,
            problem.allowed,
            suggestion=problem.suggestion,
            position=position_in(file, written),
        ) from None


class _UnknownAnnotation(Exception):
    """An annotation that is not understood."""


def _unquoted(node: ast.expr) -> ast.expr:
    """Return an annotation that stands in quotes, or the node itself."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return node
    try:
        return ast.parse(node.value, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _UnknownAnnotation from None


def _type(node: ast.expr, depth: int, limits: Limits) -> Any:
    """Return the type for pydantic of an annotation or of a part of one.

    Args:
        node: the part.
        depth: how deep parts may still lie in it.
        limits: of its values; None has none.
    """
    if not depth:
        raise _UnknownAnnotation
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _type(_unquoted(node), depth - 1, limits)
    if isinstance(node, ast.Constant) and node.value is None:
        return types.NoneType
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _united([node.left, node.right], depth, limits)
    if isinstance(node, ast.Subscript):
        return _subscript(node, depth, limits)
    name = last_name(node)
    if not isinstance(node, ast.Name | ast.Attribute) or name not in _PLAIN:
        raise _UnknownAnnotation
    return _PLAIN[name](limits)


def _united(parts: list[ast.expr], depth: int, limits: Limits) -> Any:
    if sum(map(_holds_items, parts)) > 1:
        raise _UnknownAnnotation  # whether a list or a tuple is meant would be a guess
    return reduce(or_, (_type(each, depth - 1, limits) for each in parts))


def _subscript(node: ast.Subscript, depth: int, limits: Limits) -> Any:
    items = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    name = last_name(node.value)
    if name == "Literal":
        return _literal(items, limits)
    if name == "Annotated":
        return _annotated(node, depth, limits)
    if name in ("Optional", "Union"):
        none: list[ast.expr] = [ast.Constant(None)] if name == "Optional" else []
        return _united(items + none, depth, limits)
    is_open = _is_open(items)
    if name in ("list", "List", "Sequence") and len(items) == 1:
        is_open = True
    elif name not in ("tuple", "Tuple") or not items:
        raise _UnknownAnnotation
    kinds = [_type(each, depth - 1, {}) for each in (items[:1] if is_open else items)]
    if is_open:
        return of_items(types.GenericAlias(tuple, (kinds[0], ...)), limits)
    fixed = types.GenericAlias(tuple, tuple(kinds))
    return without_limits(fixed, f"a tuple of {len(items)}", limits)


def _literal(items: list[ast.expr], limits: Limits) -> Any:
    values = tuple(each.value for each in items if isinstance(each, ast.Constant))
    plain = all(isinstance(value, str | int | bool) for value in values)
    if len(values) != len(items) or not values or not plain:
        raise _UnknownAnnotation
    if not all(is_unicode(value) for value in values if isinstance(value, str)):
        raise _UnknownAnnotation
    return without_limits(Literal[values], "Literal", limits)


def _annotated(node: ast.Subscript, depth: int, limits: Limits) -> Any:
    """Return the type of a part with limits of its own, as of the items of a list."""
    parts = annotated_parts(node)
    if parts is None or limits:
        raise _UnknownAnnotation
    said = read_limits(parts[1])
    if DESCRIPTION in said:
        raise LimitProblem("a description belongs to the whole setting, not to a part of it")
    return _type(parts[0], depth - 1, said)

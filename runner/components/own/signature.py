"""The settings of a class of the user's own, read from the text of its ``__init__``.

Nothing is imported or run. Owns which annotations are understood and what they allow.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from runner.components.component import MAX_NUMBER
from runner.components.own.local_file import LocalFile, parsed, position_in
from runner.components.own.problems import CodeProblem
from runner.core.errors import SourcePosition, nearest

ANNOTATIONS = "int, float, bool, str, Literal[…], list[…], tuple[…] of these, or … | None"
MAX_INT = 1 << 53
MAX_ITEMS = 1000
MAX_TEXT = 1000
MAX_DEPTH = 20
"""Of annotations within each other."""

_PLAIN: Mapping[str, Any] = {
    "int": Annotated[int, Field(ge=-MAX_INT, le=MAX_INT)],
    "float": Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)],
    "bool": bool,
    "str": Annotated[str, Field(max_length=MAX_TEXT)],
    "None": None,
}
REQUIRED = object()
"""The default of a setting without one."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of ``__init__`` that is a setting.

    Attributes:
        annotation: for pydantic.
        default: a plain value, or ``REQUIRED``.
        written: the annotation in the text.
        position: where it stands.
    """

    annotation: Any
    default: Any
    written: ast.expr
    position: SourcePosition


@dataclass(frozen=True, slots=True)
class Signature:
    """What ``__init__`` takes.

    Attributes:
        settings: its parameters that are settings, by name.
        given: the names of those that the program gives.
        position: of the class.
    """

    settings: Mapping[str, Parameter]
    given: tuple[str, ...]
    position: SourcePosition


def read_signature(file: LocalFile, name: str, given: tuple[str, ...]) -> Signature:
    """Return what the ``__init__`` of a class takes.

    Args:
        file: that defines it, at its top level.
        name: of the class.
        given: names of parameters that are no settings, since the program gives them.

    Raises:
        CodeProblem: when there is no such class, or a parameter cannot be a setting.
    """
    classes = {node.name: node for node in parsed(file).body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        names = [each for each in classes if not each.startswith("_")]
        told = ", ".join(names[:16]) or "it has none"
        raise CodeProblem(
            f"{file.shown} has no class {name}", told, suggestion=nearest(name, names)
        )
    owner = classes[name]
    position = position_in(file, owner)
    init = _init(file, owner, classes)
    if init is None:
        return Signature({}, (), position)
    settings: dict[str, Parameter] = {}
    taken: list[str] = []
    for argument, default in _arguments(file, init):
        if argument.arg in given:
            taken.append(argument.arg)
        else:
            settings[argument.arg] = _parameter(file, argument, default)
    return Signature(settings, tuple(taken), position)


def _init(
    file: LocalFile, owner: ast.ClassDef, classes: Mapping[str, ast.ClassDef]
) -> ast.FunctionDef | None:
    """Return the ``__init__`` of a class or of its bases in the file; None for that of torch."""
    seen: set[str] = set()
    node: ast.ClassDef | None = owner
    while node is not None and node.name not in seen:
        seen.add(node.name)
        inits = [
            each
            for each in node.body
            if isinstance(each, ast.FunctionDef) and each.name == "__init__"
        ]
        if inits:
            return inits[-1]
        names = [_last_name(base) for base in node.bases]
        if names in ([], ["object"], ["Module"]):
            return None
        node = classes.get(names[0]) if len(names) == 1 else None
    found = f"{owner.name} has no __init__ in this file: its settings cannot be read"
    hint = "write one, with an annotation for each parameter"
    raise CodeProblem(found, hint=hint, position=position_in(file, owner))


def _arguments(file: LocalFile, init: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Yield the parameters after self, each with its default.

    Raises:
        CodeProblem: for parameters that have no name of their own, as ``*args``.
    """
    arguments = init.args
    for extra in (arguments.vararg, arguments.kwarg):
        if extra is not None:
            found = f"__init__ takes *{extra.arg}: a setting needs a parameter of its own"
            raise CodeProblem(found, position=position_in(file, extra))
    if len(arguments.posonlyargs) > 1:
        second = arguments.posonlyargs[1]
        found = f"{second.arg} can only be given by its place: settings are given by name"
        raise CodeProblem(found, hint="leave out the /", position=position_in(file, second))
    plain = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults]
    yield from list(zip(plain, defaults, strict=True))[1:]
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def _parameter(file: LocalFile, argument: ast.arg, default: ast.expr | None) -> Parameter:
    position = position_in(file, argument)
    if argument.annotation is None:
        found = f"{argument.arg} has no annotation, so that it cannot be a setting"
        raise CodeProblem(found, ANNOTATIONS, position=position)
    kind = _type(file, argument.annotation, argument.annotation, MAX_DEPTH)
    if default is None:
        return Parameter(kind, REQUIRED, argument.annotation, position)
    try:
        value = _plain(ast.literal_eval(default))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        found = f"the default of {argument.arg} is {ast.unparse(default)}, which is no plain value"
        raise CodeProblem(
            found, "a number, text, True, False, None, or a list", position=position
        ) from None
    try:
        strict = ConfigDict(strict=True, allow_inf_nan=False)
        value = TypeAdapter(kind, config=strict).validate_python(value)
    except ValidationError:
        shown = ast.unparse(argument.annotation)
        found = f"the default of {argument.arg} is {ast.unparse(default)}, which is no {shown}"
        raise CodeProblem(found, position=position) from None
    return Parameter(kind, value, argument.annotation, position)


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
    name = _last_name(node.value)
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
    if not isinstance(node, ast.Subscript) or _last_name(node.value) == "Literal":
        return False
    if _last_name(node.value) in ("Optional", "Union"):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return any(map(_holds_items, parts))
    return True


def _plain(value: Any) -> Any:
    """Return a literal as settings hold it: lists are tuples."""
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError("no plain value")


def _type(file: LocalFile, node: ast.expr, whole: ast.expr, depth: int) -> Any:
    """Return the type for pydantic that an annotation means.

    Raises:
        CodeProblem: for one that is not understood.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and depth:
        try:
            inner = ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError):
            raise _unknown(file, whole) from None
        return _type(file, inner, whole, depth - 1)
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if not depth:
        raise _unknown(file, whole)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = (_type(file, each, whole, depth - 1) for each in (node.left, node.right))
        if _holds_items(node.left) and _holds_items(node.right):
            raise _unknown(file, whole)  # whether a list or a tuple is meant would be a guess
        return left | right if left is not None else right | None
    if isinstance(node, ast.Subscript):
        return _subscript(file, node, whole, depth)
    name = _last_name(node)
    if isinstance(node, ast.Name | ast.Attribute) and name in _PLAIN:
        return _PLAIN[name]
    raise _unknown(file, whole)


def _subscript(file: LocalFile, node: ast.Subscript, whole: ast.expr, depth: int) -> Any:
    items = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    name = _last_name(node.value)
    if name == "Literal":
        values = tuple(each.value for each in items if isinstance(each, ast.Constant))
        plain = all(isinstance(value, str | int | bool) for value in values)
        if len(values) != len(items) or not values or not plain:
            raise _unknown(file, whole)
        return Literal[values]
    is_open = _is_open(items)
    if name in ("list", "List", "Sequence") and len(items) == 1:
        is_open = True
    elif name not in ("tuple", "Tuple", "Optional", "Union") or not items:
        raise _unknown(file, whole)
    kinds = [_type(file, each, whole, depth - 1) for each in (items[:1] if is_open else items)]
    if name in ("Optional", "Union"):
        if sum(map(_holds_items, items)) > 1:
            raise _unknown(file, whole)
        kinds += [None] if name == "Optional" else []
        united = kinds[0]
        for kind in kinds[1:]:
            united = united | kind if united is not None else kind | None
        return united
    if is_open:
        many = types.GenericAlias(tuple, (kinds[0], ...))
        return Annotated[many, Field(max_length=MAX_ITEMS)]
    return types.GenericAlias(tuple, tuple(kinds))


def _unknown(file: LocalFile, annotation: ast.expr) -> CodeProblem:
    found = f"the annotation {ast.unparse(annotation)} is none of a setting"
    return CodeProblem(found, ANNOTATIONS, position=position_in(file, annotation))


def _last_name(node: ast.expr) -> str:
    """Return `Module` for `torch.nn.Module`, `list` for `list[int]`, "" for what has no name."""
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""

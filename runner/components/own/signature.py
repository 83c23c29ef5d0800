"""The settings of a class of the user's own, read from the text of its ``__init__``.

Nothing is imported or run. What annotations mean: see `annotations`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from runner.components.own.annotations import ANNOTATIONS, path_type, read_annotation
from runner.components.own.limits import last_name
from runner.components.own.local_file import LocalFile, parsed, position_in
from runner.components.own.problems import CodeProblem
from runner.core.errors import SourcePosition, nearest

REQUIRED = object()
"""The default of a setting without one."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of ``__init__`` that is a setting.

    Attributes:
        annotation: for pydantic.
        default: a plain value, or ``REQUIRED``.
        written: the annotation in the text.
        about: its description, or "".
        position: where it stands.
        is_path: whether it is a path, given as a text.
    """

    annotation: Any
    default: Any
    written: ast.expr
    about: str
    position: SourcePosition
    is_path: bool = False


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


def read_signature(
    file: LocalFile, name: str, given: tuple[str, ...], paths: bool = False
) -> Signature:
    """Return what the ``__init__`` of a class takes.

    Args:
        file: that defines it, at its top level.
        name: of the class.
        given: names of parameters that are no settings, since the program gives them.
        paths: whether a setting may be a path.

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
            settings[argument.arg] = _parameter(file, argument, default, paths)
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
        names = [last_name(base) for base in node.bases]
        if names in ([], ["object"], ["Module"], ["Dataset"]):
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


def _parameter(
    file: LocalFile, argument: ast.arg, default: ast.expr | None, paths: bool
) -> Parameter:
    position = position_in(file, argument)
    if argument.annotation is None:
        found = f"{argument.arg} has no annotation, so that it cannot be a setting"
        raise CodeProblem(found, ANNOTATIONS, position=position)
    path: Any = path_type(argument.annotation) if paths else None
    is_path = path is not None
    kind, about = (path, "") if is_path else read_annotation(file, argument.annotation)
    if default is None:
        return Parameter(kind, REQUIRED, argument.annotation, about, position, is_path)
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
    return Parameter(kind, value, argument.annotation, about, position, is_path)


def _plain(value: Any) -> Any:
    """Return a literal as settings hold it: lists are tuples."""
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError("no plain value")

"""Limits and descriptions of own settings: ``Annotated[float, Field(ge=0, description="…")]``.

They are those of pydantic's ``Field``, as literals. Own settings have limits without them, too.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic_core import SchemaError

from runner.components.component import MAX_NUMBER
from runner.core.errors import nearest

MAX_INT = 1 << 53
MAX_ITEMS = 1000
MAX_TEXT = 1000

NUMBERS = ("ge", "gt", "le", "lt", "multiple_of")
LENGTHS = ("min_length", "max_length")
PATTERN, DESCRIPTION = "pattern", "description"
KNOWN = (*NUMBERS, *LENGTHS, PATTERN, DESCRIPTION)
FIELD = "Field"

Limits = Mapping[str, Any]


class LimitProblem(Exception):
    """Something wrong with limits.

    Attributes:
        found: what was found.
        allowed: what would be right, or "".
        suggestion: the nearest right spelling, or "".
    """

    def __init__(self, found: str, allowed: str = "", suggestion: str = "") -> None:
        super().__init__(found)
        self.found, self.allowed, self.suggestion = found, allowed, suggestion


def read_limits(call: ast.Call) -> Limits:
    """Return what a call of ``Field`` says: limits, and the description.

    Raises:
        LimitProblem: for a value that is no literal, and for what is no limit.
    """
    if call.args:
        first = ast.unparse(call.args[0])
        raise LimitProblem(
            f"{FIELD}({first}): a default stands behind the parameter", "… = 16 as its default"
        )
    said: dict[str, Any] = {}
    for keyword in call.keywords:
        name, shown = keyword.arg or "**", ast.unparse(keyword.value)
        if name not in KNOWN:
            found = f"{name} is no limit of a setting"
            raise LimitProblem(found, ", ".join(KNOWN), nearest(name, KNOWN))
        try:
            said[name] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise LimitProblem(f"{name} is {shown}, which is no plain value") from None
    about = said.get(DESCRIPTION, "a setting")
    is_text = isinstance(about, str) and about.strip() and is_unicode(about)
    if not is_text or len(about) > MAX_TEXT:
        found = f"{DESCRIPTION} is {ast.unparse(call)[:60]}"
        raise LimitProblem(found, f"text of 1 to {MAX_TEXT} characters")
    return said


def of_number(kind: type[int] | type[float], limits: Limits) -> Any:
    """Return the type of a number within limits.

    Raises:
        LimitProblem: for what is no limit of it.
    """
    _check_fit(kind.__name__, limits, NUMBERS)
    most = MAX_INT if kind is int else MAX_NUMBER
    for name, value in limits.items():
        is_number = isinstance(value, int | kind) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or abs(value) > most:
            wanted = "a whole number" if kind is int else "a number"
            raise LimitProblem(f"{name} is {value!r}", f"{wanted} from {-most:g} to {most:g}")
    if limits.get("multiple_of", 1) <= 0:
        raise LimitProblem(f"multiple_of is {limits['multiple_of']}", "above 0")
    lower = _bound(limits, "ge", "gt", -most)
    upper = _bound(limits, "le", "lt", most)
    low, high = (next(iter(each.values())) for each in (lower, upper))
    if low > high or (low == high and ("gt" in limits or "lt" in limits)):
        raise LimitProblem(f"no number is allowed by {_shown(limits)}")
    steps = {name: limits[name] for name in limits if name == "multiple_of"}
    known: dict[str, Any] = {**lower, **upper, **steps}
    return Annotated[kind, Field(**known)]


def _bound(limits: Limits, closed: str, opened: str, otherwise: float) -> dict[str, Any]:
    if closed in limits and opened in limits:
        raise LimitProblem(f"{closed} and {opened} are both given", "one of them")
    given = {name: limits[name] for name in (closed, opened) if name in limits}
    return given or {closed: otherwise}


def of_text(limits: Limits) -> Any:
    """Return the type of a text within limits.

    Raises:
        LimitProblem: for what is no limit of it.
    """
    _check_fit("str", limits, (*LENGTHS, PATTERN))
    pattern = limits.get(PATTERN, "")
    if not isinstance(pattern, str) or len(pattern) > MAX_TEXT or not is_unicode(pattern):
        raise LimitProblem(f"{PATTERN} is {pattern!r:.60}", "a regular expression as text")
    known: dict[str, Any] = {**limits, **_lengths(limits, MAX_TEXT)}
    kind = Annotated[str, Field(**known)]
    try:
        TypeAdapter(kind)
    except SchemaError as error:
        why = str(error).strip().splitlines()[-1].removeprefix("error: ")
        raise LimitProblem(f"{PATTERN} is {pattern!r}: {why}") from None
    return kind


def of_items(kind: Any, limits: Limits) -> Any:
    """Return the type of a tuple of any length within limits.

    Raises:
        LimitProblem: for what is no limit of it.
    """
    _check_fit("list", limits, LENGTHS)
    return Annotated[kind, Field(**_lengths(limits, MAX_ITEMS))]


def without_limits(kind: Any, shown: str, limits: Limits) -> Any:
    """Return a type whose values can have no limits.

    Raises:
        LimitProblem: when it is given some.
    """
    _check_fit(shown, limits, ())
    return kind


def _lengths(limits: Limits, most: int) -> dict[str, Any]:
    least, longest = limits.get("min_length", 0), limits.get("max_length", most)
    for name, value in (("min_length", least), ("max_length", longest)):
        if type(value) is not int or not 0 <= value <= most:
            raise LimitProblem(f"{name} is {value!r}", f"a whole number from 0 to {most:,}")
    if least > longest:
        raise LimitProblem(f"no length is allowed by {_shown(limits)}")
    return {"max_length": longest, **({"min_length": least} if least else {})}


def _check_fit(shown: str, limits: Limits, fitting: tuple[str, ...]) -> None:
    wrong = [name for name in limits if name not in fitting]
    if wrong:
        raise LimitProblem(f"{wrong[0]} is no limit of {shown}", ", ".join(fitting) or "none")


def _shown(limits: Limits) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in limits.items())


def without_limits_in(tree: ast.Module) -> ast.Module:
    """Return what a module does without the limits of settings: they change no result.

    Of ``Annotated[float, Field(…)]``, as parameters of ``__init__`` have it, ``float`` stays, and
    ``from pydantic import Field`` goes. The tree itself is changed.
    """
    changed: ast.Module = _WithoutLimits().visit(tree)
    return changed


class _WithoutLimits(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == "__init__":
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                if argument.annotation is not None:
                    argument.annotation = _Bare().visit(argument.annotation)
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        imported = [(alias.name, alias.asname) for alias in node.names]
        is_for_limits = node.module == "pydantic" and imported == [(FIELD, None)]
        return None if is_for_limits and not node.level else node


class _Bare(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        parts = annotated_parts(node)
        return parts[0] if parts else node


def annotated_parts(node: ast.expr) -> tuple[ast.expr, ast.Call] | None:
    """Return the two parts of ``Annotated[…, Field(…)]``, None of anything else."""
    if not isinstance(node, ast.Subscript) or last_name(node.value) != "Annotated":
        return None
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    if len(parts) != 2 or not isinstance(parts[1], ast.Call) or last_name(parts[1].func) != FIELD:
        return None
    return parts[0], parts[1]


def is_unicode(text: str) -> bool:
    """Return whether a text can be written to a file: halves of characters cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def last_name(node: ast.expr) -> str:
    """Return `Module` for `torch.nn.Module`, `list` for `list[int]`, "" for what has no name."""
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""

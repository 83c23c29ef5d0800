"""Formulas over metrics, as in ``train_eval_accuracy - val_accuracy``.

Owns the grammar: names, numbers, ``+ - * /`` and parentheses. Evaluates nothing.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}


ALLOWED = "metric names, numbers, + - * / and ()"
MAX_LENGTH = 300
LARGEST = 1e300


class FormulaError(ValueError):
    """The text is no formula.

    Attributes:
        allowed: what would be.
    """

    def __init__(self, found: str, allowed: str = ALLOWED) -> None:
        super().__init__(found)
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula.

    Attributes:
        text: as written.
        tree: nested tuples: ("name", n), ("number", x), ("negative", t), (operator, left, right).
        names: the names in it, in order of appearance.
        written: how those of them are written that are stored under another name.
    """

    text: str
    tree: tuple[Any, ...]
    names: tuple[str, ...]
    written: Mapping[str, str] = field(default_factory=dict, compare=False)

    def shown(self, name: str) -> str:
        """Return one of the names as people know it."""
        return self.written.get(name, name)


def parse_formula(text: str) -> Formula:
    """Return the formula in ``text``.

    Raises:
        FormulaError: with what was found and what is allowed.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"a formula of {len(text)} characters", f"at most {MAX_LENGTH}")
    try:
        body = ast.parse(text.strip(), mode="eval").body
        names: dict[str, None] = {}
        return Formula(text, _tree(body, names), tuple(names))
    except FormulaError:
        raise
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise FormulaError(f"'{text}' is not a formula") from error


def with_names(formula: Formula, stored: Mapping[str, str]) -> Formula:
    """Return a formula of the same text over the names under which metrics are stored.

    Args:
        formula: as written.
        stored: the names of those that are stored under another one.
    """
    if not any(name in stored for name in formula.names):
        return formula
    written = {stored[name]: name for name in formula.names if name in stored}
    names = tuple(dict.fromkeys(stored.get(name, name) for name in formula.names))
    return Formula(formula.text, _renamed(formula.tree, stored), names, written)


def _renamed(tree: tuple[Any, ...], stored: Mapping[str, str]) -> tuple[Any, ...]:
    kind, *parts = tree
    if kind == "name":
        return ("name", stored.get(parts[0], parts[0]))
    if kind == "number":
        return tree
    return (kind, *(_renamed(part, stored) for part in parts))


def _tree(node: ast.expr, names: dict[str, None]) -> tuple[Any, ...]:
    if isinstance(node, ast.Name):
        names[node.id] = None
        return ("name", node.id)
    if isinstance(node, ast.Constant) and _is_number(node.value):
        return ("number", node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return ("negative", _tree(node.operand, names))
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return (OPERATORS[type(node.op)], _tree(node.left, names), _tree(node.right, names))
    raise FormulaError(f"'{ast.unparse(node)}' in a formula")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value < LARGEST

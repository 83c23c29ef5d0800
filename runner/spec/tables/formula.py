"""Formulas over metrics, as in ``train_eval_accuracy - val_accuracy``.

Owns the grammar: names, numbers, ``+ - * /`` and parentheses. Evaluates nothing.
"""

import ast
from dataclasses import dataclass

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
    """

    text: str
    tree: tuple[object, ...]
    names: tuple[str, ...]


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


def _tree(node: ast.expr, names: dict[str, None]) -> tuple[object, ...]:
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

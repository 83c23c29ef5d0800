"""Pivots of tables: the values of one column become columns.

Owns the declaration, and the columns and titles that it makes of values. Knows no cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.core.errors import Problem, SourcePosition, SpecError, nearest
from runner.spec.nodes import Node
from runner.spec.tables.column import Column

if TYPE_CHECKING:
    from runner.spec.tables.table import Table

PIVOT_KEYS = ("column", "titles")
EXAMPLE = "write pivot: POLICY, or pivot: {column: POLICY, titles: {freeze: TEST_ACC_FREEZE}}"


@dataclass(frozen=True, slots=True)
class Pivot:
    """A declared pivot.

    Attributes:
        column: title of the column whose values become columns.
        titles: a title by value, as the spec writes the value.
        position: of the column's name in the file.
    """

    column: str
    titles: Mapping[str, Node]
    position: SourcePosition | None


def parse_pivot(node: Node | None, columns: Sequence[Column], table: str) -> Pivot | None:
    """Return the pivot of a table, or None without one.

    Raises:
        SpecError: when it names no setting or label, or no column for rows or metrics is left.
    """
    if node is None:
        return None
    if not node.is_mapping:
        return Pivot(_pivoted(node, columns, table), {}, node.position)
    for key, child in node.value.items():
        if key not in PIVOT_KEYS:
            found = f"unknown key '{key}' in pivot of table {table}"
            allowed, where = ", ".join(PIVOT_KEYS), child.key_position or child.position
            raise SpecError([Problem(where, found, allowed, suggestion=nearest(key, PIVOT_KEYS))])
    named = node.get("column")
    if named is None:
        found = f"pivot of table {table} lacks 'column'"
        raise SpecError([Problem(node.position, found, hint=EXAMPLE)])
    return Pivot(_pivoted(named, columns, table), _titles(node.get("titles")), named.position)


def _pivoted(node: Node, columns: Sequence[Column], table: str) -> str:
    """Return the title of the column that the node names."""
    by_title = {column.title: column for column in columns}
    groups = [column.title for column in columns if not column.is_metric]
    named = node.value if isinstance(node.value, str) else None
    if named is None or by_title.get(named) is None:
        found = f"pivot of table {table} is {node.describe()}, which is no column"
        allowed = ", ".join(groups) or "a column of a setting or label"
        raise SpecError(
            [Problem(node.position, found, allowed, suggestion=nearest(node.text, groups))]
        )
    if by_title[named].is_metric:
        found = f"pivot of table {table} is {named}, which shows a metric"
        allowed = ", ".join(groups) or "a column of a setting or label"
        raise SpecError([Problem(node.position, found, allowed)])
    if groups == [named]:
        found = f"the pivot of {named} leaves table {table} no column for its rows"
        hint = f"add a column of a setting or label beside {named}"
        raise SpecError([Problem(node.position, found, hint=hint)])
    if len(groups) == len(columns):
        found = f"table {table} has a pivot, but no metric to show for each {named}"
        raise SpecError([Problem(node.position, found, hint="add a column of a metric")])
    return named


def _titles(node: Node | None) -> dict[str, Node]:
    if node is None:
        return {}
    if not node.is_mapping:
        found = f"titles is {node.describe()}"
        raise SpecError([Problem(node.position, found, "titles by value, as {freeze: ACC_FREEZE}")])
    seen: set[str] = set()
    for value, child in node.value.items():
        if not isinstance(child.value, str) or not child.value:
            found = f"the title of {value} is {child.describe()}"
            raise SpecError([Problem(child.position, found, "text")])
        if child.value in seen:
            found = f"the title '{child.value}' stands here twice"
            hint = "give each value a title of its own"
            raise SpecError([Problem(child.position, found, hint=hint)])
        seen.add(child.value)
    return dict(node.value)


def show_value(value: object) -> str:
    """Return the text of a setting or label in a table."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def is_value(written: str, value: object) -> bool:
    """Return whether written text means the value: ``1e-3`` is 0.001, ``null`` is None."""
    if value is None:
        return written in ("null", show_value(None))
    if isinstance(value, int | float):
        try:
            return float(written) == value
        except ValueError:
            return False
    return written == value


def row_columns(table: Table) -> list[Column]:
    """Return the columns that identify the rows of a pivoted table."""
    assert table.pivot is not None
    groups = [column for column in table.columns if not column.is_metric]
    return [column for column in groups if column.title != table.pivot.column]


def pivoted_columns(table: Table, values: Sequence[Any]) -> list[tuple[Column, Column, Any]]:
    """Return (column, declared column, pivoted value) for each column of a pivoted table.

    A metric becomes a column for each value. The value of other columns is None.

    Args:
        table: a table with a pivot.
        values: the values of the pivoted column.
    """
    assert table.pivot is not None
    single = sum(column.is_metric for column in table.columns) == 1
    rows = row_columns(table)
    pivoted: list[tuple[Column, Column, Any]] = []
    for column in table.columns:
        if column in rows:
            pivoted.append((column, column, None))
        elif column.is_metric:
            for value in values:
                own = _title(table.pivot, value)
                title = own if single else f"{column.title} {own}"
                pivoted.append((replace(column, title=title), column, value))
    return pivoted


def _title(pivot: Pivot, value: object) -> str:
    written = (node.value for text, node in pivot.titles.items() if is_value(text, value))
    return next(written, show_value(value))

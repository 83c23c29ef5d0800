"""Melted tables: columns of metrics become rows, one for each column.

Owns the declaration and the columns that are left. Knows no cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.core.errors import Problem, SpecError, nearest
from runner.spec.nodes import Node
from runner.spec.tables.column import Column

if TYPE_CHECKING:
    from runner.spec.tables.table import Table

MELT_KEYS = ("names", "values")
EXAMPLE = "write melt: {names: TRANSFORM, values: ACCURACY}"


@dataclass(frozen=True, slots=True)
class Melt:
    """A declared melt.

    Attributes:
        names: title of the new column that holds the titles of the metrics.
        values: title of the new column that holds their values.
    """

    names: str
    values: str


def parse_melt(node: Node | None, columns: Sequence[Column], table: str) -> Melt | None:
    """Return the melt of a table, or None without one.

    Raises:
        SpecError: when it lacks a title, has one that is taken, or there is no metric.
    """
    if node is None:
        return None
    if not node.is_mapping:
        found = f"melt of table {table} is {node.describe()}"
        raise SpecError([Problem(node.position, found, hint=EXAMPLE)])
    for key, child in node.value.items():
        if key not in MELT_KEYS:
            found, where = f"unknown key '{key}' in melt of table {table}", child.key_position
            allowed, suggestion = ", ".join(MELT_KEYS), nearest(key, MELT_KEYS)
            raise SpecError([Problem(where, found, allowed, suggestion=suggestion)])
    for key in MELT_KEYS:
        title = node.get(key)
        if title is None or not title.text:
            found = f"melt of table {table} lacks '{key}'"
            if title is not None:
                found = f"{key} of melt of table {table} is {title.describe()}"
            raise SpecError([Problem((title or node).position, found, "a title", hint=EXAMPLE)])
    names, values = node.value["names"], node.value["values"]
    taken = {column.title for column in columns if not column.is_metric}
    for title, others in ((names, taken), (values, {*taken, names.text})):
        if title.text in others:
            found = f"melt of table {table} makes a second column '{title.text}'"
            raise SpecError([Problem(title.position, found, "another title")])
    if all(not column.is_metric for column in columns):
        found = f"table {table} has a melt, but no metric to make rows of"
        raise SpecError([Problem(node.position, found, hint="add a column of a metric")])
    return Melt(names.text, values.text)


def melted_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns of a melted table; the last shows numbers as the metrics did.

    Its best value is marked where all metrics mark theirs alike; less of one and more of another
    has no best.
    """
    assert table.melt is not None
    groups = [column for column in table.columns if not column.is_metric]
    metrics = [column for column in table.columns if column.is_metric]
    digits = {column.digits for column in metrics}
    marks = {column.mark for column in metrics}
    first = replace(
        next((column for column in metrics if column.analysis is not None), metrics[0]),
        title=table.melt.values,
        mark=marks.pop() if len(marks) == 1 else None,
        digits=digits.pop() if len(digits) == 1 else None,
    )
    names = replace(
        first,
        title=table.melt.names,
        kind="label",
        source=table.melt.names,
        formula=None,
        analysis=None,
        mark=None,
        digits=None,
    )
    return (*groups, names, first)

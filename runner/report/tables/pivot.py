"""Pivoted tables: rows of cells become rows with a column for each pivoted value.

Assigns cells to slots, and refuses two in one. Pivots are declared in the spec.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from runner.core.errors import UsageError
from runner.report.tables.table import Row, TableData, TableValue
from runner.spec.cell_names import cell_reference
from runner.spec.tables.column import Column
from runner.spec.tables.pivot import pivoted_columns, row_columns
from runner.spec.tables.pivot_checks import clashing_titles, titled_values

Line = tuple[Any, ...]


def pivoted(filled: TableData) -> TableData:
    """Return the table with a column for each value of the pivoted column.

    Rows keep the order of their first cells, values that of the spec. Cells with equal runs, as a
    ``--set`` makes them, count as one.

    Raises:
        UsageError: when two cells share a slot, or two columns a title.
    """
    table = filled.table
    assert table.pivot is not None
    pivot = table.pivot.column
    in_order = sorted(filled.rows, key=lambda row: row.position)
    values = list(dict.fromkeys(row.entries[pivot].value for row in in_order))
    for _, why in clashing_titles(table, values):
        raise UsageError(why, hint=f"give it another title in the pivot of {pivot}")
    lines: dict[Line, dict[Any, Row]] = {}
    keys = row_columns(table)
    for row in filled.rows:
        line = tuple(row.entries[column.title].value for column in keys)
        slots = lines.setdefault(line, {})
        first = slots.setdefault(row.entries[pivot].value, row)
        if first.run_key != row.run_key:
            raise _shared_slot(filled, first, row)
    made = pivoted_columns(table, values)
    rows = tuple(_row(made, slots) for slots in lines.values())
    columns = tuple(column for column, _, _ in made)
    return replace(filled, table=replace(table, columns=columns), rows=rows)


def _row(made: Sequence[tuple[Column, Column, Any]], slots: dict[Any, Row]) -> Row:
    """Return a pivoted row; slots without a cell are empty."""
    first = next(iter(slots.values()))
    entries: dict[str, TableValue] = {}
    for column, declared, value in made:
        if not column.is_metric:
            entries[column.title] = first.entries[declared.title]
        elif value in slots:
            entries[column.title] = slots[value].entries[declared.title]
        else:
            entries[column.title] = TableValue(None)
    statuses: Counter[str] = Counter()
    for row in slots.values():
        statuses.update(row.statuses)
    runs = sum(row.runs for row in slots.values())
    return Row(entries, runs, dict(statuses), first.position, first.run_key, first.folds)


def _shared_slot(filled: TableData, first: Row, second: Row) -> UsageError:
    columns = [column for column in filled.table.columns if not column.is_metric]
    slot = titled_values(columns, [second.entries[column.title].value for column in columns])
    cells = [f"{filled.experiment}:{row.position}" for row in (first, second)]
    variant = f" (variant: {filled.variant})" if filled.variant else ""
    names = [
        cell_reference(filled.experiment, row.position, None, filled.variant)
        for row in (first, second)
    ]
    diff = shlex.join(["runner", "diff", *names])
    return UsageError(
        f"table {filled.table.name} has two cells at {slot}, {' and '.join(cells)}{variant}",
        allowed="one cell in each place",
        hint=f"a column for what differs keeps them apart; see it with: {diff}",
    )

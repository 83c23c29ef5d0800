"""Melted tables: a row for each metric of a cell. Melts are declared in specs."""

from __future__ import annotations

from dataclasses import replace

from runner.report.tables.table import TableData, TableValue
from runner.spec.tables.melt import melted_columns


def melted(filled: TableData) -> TableData:
    """Return the table with a row for each metric, in the order of the columns."""
    table = filled.table
    assert table.melt is not None
    groups = [column.title for column in table.columns if not column.is_metric]
    rows = []
    for row in filled.rows:
        for column in table.columns:
            if column.is_metric:
                entries = {title: row.entries[title] for title in groups}
                entries[table.melt.names] = TableValue(column.title)
                entries[table.melt.values] = row.entries[column.title]
                rows.append(replace(row, entries=entries))
    return replace(filled, table=replace(table, columns=melted_columns(table)), rows=tuple(rows))

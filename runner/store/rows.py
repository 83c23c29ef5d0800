"""Rows of a table with one of many values in a column: a statement has room for some hundreds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

BATCH = 500


def rows_with(
    connection: sa.Connection,
    columns: sa.Table | tuple[sa.ColumnClause[Any], ...],
    column: sa.ColumnClause[Any],
    values: Iterable[Any],
) -> list[dict[str, Any]]:
    """Return the rows with one of some values in a column, those of each batch of values together.

    Args:
        connection: to the database.
        columns: what is read: a whole table, or some columns of one.
        column: that is compared.
        values: may repeat.
    """
    query = sa.select(columns) if isinstance(columns, sa.Table) else sa.select(*columns)
    wanted, found = sorted(set(values)), list[dict[str, Any]]()
    for start in range(0, len(wanted), BATCH):
        batch = column.in_(wanted[start : start + BATCH])
        found += map(dict, connection.execute(query.where(batch)).mappings())
    return found

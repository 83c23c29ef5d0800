"""Many rows, read and stored some hundreds at a time: a statement has no room for more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, within a writing transaction."""
    for start in range(0, len(rows), BATCH):
        connection.execute(sa.insert(table), rows[start : start + BATCH])


def insert_new(
    connection: sa.Connection, table: sa.Table, key: str, rows: Sequence[dict[str, Any]]
) -> list[Any]:
    """Insert the rows whose key is not there yet, within a writing transaction; return the keys."""
    column = table.c[key]
    inserted: list[Any] = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        keys = [row[key] for row in batch]
        there = set(connection.execute(sa.select(column).where(column.in_(keys))).scalars())
        fresh = [row for row in batch if row[key] not in there]
        if fresh:
            connection.execute(sa.insert(table), fresh)
            inserted += [row[key] for row in fresh]
    return inserted

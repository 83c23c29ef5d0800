"""Many rows, read and stored some hundreds at a time: a statement has no room for more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

BATCH = 500

Value = TypeVar("Value", str, int, float)


def batches(values: Iterable[Value], size: int = BATCH) -> Iterator[list[Value]]:
    """Yield values in their order, each once, so many at a time."""
    every = sorted(set(values))
    for start in range(0, len(every), size):
        yield every[start : start + size]


def selected(
    connection: sa.Connection,
    query: sa.Select[Any],
    column: sa.ColumnClause[Any],
    values: Iterable[Any] | None,
) -> Iterator[sa.Row[Any]]:
    """Yield the rows of a query with one of some values in a column, batch by batch.

    Args:
        connection: to the database.
        query: what is read; its order is that within a batch of values.
        column: that is compared.
        values: may repeat; None for all rows, in one batch.
    """
    if values is None:
        yield from connection.execute(query)
        return
    for batch in batches(values):
        yield from connection.execute(query.where(column.in_(batch)))


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
    return [dict(row._mapping) for row in selected(connection, query, column, values)]


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

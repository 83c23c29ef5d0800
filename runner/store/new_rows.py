"""Rows that are stored unless they are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

BATCH = 500


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

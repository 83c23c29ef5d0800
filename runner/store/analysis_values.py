"""The numbers of analyses as rows, and their checksum, which the outcome of their attempt holds.

Knows attempts, not which run wants what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from runner.core.keys import canonical_json
from runner.core.records import AnalysisValue
from runner.store.checksums import checksum
from runner.store.rows import rows_with
from runner.store.schema import analysis_values, attempts

CHECKSUM = "values"
"""Under which an attempt's outcome holds the checksum of its values."""

COUNTING = ("done", "reference")


def value_rows(attempt_id: int, values: Sequence[AnalysisValue]) -> list[dict[str, Any]]:
    """Return the rows of the values of an attempt."""
    return [
        {
            "attempt_id": attempt_id,
            "name": each.name,
            "dims": canonical_json(dict(each.dims)),
            "value": float(each.value),
        }
        for each in values
    ]


def values_checksum(rows: Sequence[tuple[str, str, float]]) -> str:
    """Return the checksum of (name, dims, value) of all values of an attempt."""
    return checksum(sorted(rows))


def newest_attempt(connection: sa.Connection, stage_key: str) -> Any:
    """Return id and outcome of the attempt whose values count, or None."""
    query = (
        sa.select(attempts.c.id, attempts.c.outcome)
        .where(attempts.c.stage_key == stage_key, attempts.c.status.in_(COUNTING))
        .order_by(attempts.c.id.desc())
    )
    return connection.execute(query).first()


def newest_attempts(connection: sa.Connection, stage_keys: Iterable[str]) -> dict[str, int]:
    """Return the ids of the attempts whose values count, by stage, of those that have one."""
    columns = (attempts.c.stage_key, attempts.c.id, attempts.c.status)
    newest: dict[str, int] = {}
    for row in rows_with(connection, columns, attempts.c.stage_key, stage_keys):
        if row["status"] in COUNTING:
            newest[row["stage_key"]] = max(newest.get(row["stage_key"], 0), row["id"])
    return newest


def values_of(connection: sa.Connection, attempt_id: int) -> list[tuple[str, str, float]]:
    """Return (name, dims as JSON, value) of all values of an attempt."""
    query = sa.select(
        analysis_values.c.name, analysis_values.c.dims, analysis_values.c.value
    ).where(analysis_values.c.attempt_id == attempt_id)
    rows = connection.execute(query.order_by(analysis_values.c.name, analysis_values.c.dims))
    return [(row.name, row.dims, row.value) for row in rows]

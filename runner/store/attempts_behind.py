"""On which attempts results rest: their epochs, their stages, what these went on from, analyses.

Copies nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from runner.store.analysis_values import newest_attempts
from runner.store.reference import COUNTING
from runner.store.rows import rows_with
from runner.store.schema import analyses, attempts, run_epochs, run_stages

ENDED = (*COUNTING, "reference")


def attempts_behind(connection: sa.Connection, which: Collection[tuple[str, int]]) -> set[int]:
    """Return the ids of all attempts that results rest on.

    Those whose epochs they read, those that ended the stages of their runs, and those that these
    went on from.

    Args:
        connection: to the database.
        which: (run key, repetition) of the results.
    """
    wanted = set(which)
    read, chain, looked_at = (
        {row[value] for row in _rows_of(connection, table, value, wanted)}
        for table, value in (
            (run_epochs, "attempt_id"),
            (run_stages, "stage_key"),
            (analyses, "stage_key"),
        )
    )
    columns = (attempts.c.id, attempts.c.status)
    at_stages = rows_with(connection, columns, attempts.c.stage_key, chain)
    found = read | {row["id"] for row in at_stages if row["status"] in ENDED}
    found |= set(newest_attempts(connection, looked_at).values())
    new = set(found)
    while new:
        outcomes = rows_with(connection, (attempts.c.outcome,), attempts.c.id, new)
        new = {each for row in outcomes for each in _named_attempts(row["outcome"])} - found
        found |= new
    return found


def _rows_of(
    connection: sa.Connection, table: sa.Table, value: str, which: set[tuple[str, int]]
) -> Iterator[dict[str, Any]]:
    """Yield the rows that results have in a table."""
    columns = (table.c.run_key, table.c.rerun, table.c[value])
    for row in rows_with(connection, columns, table.c.run_key, {key for key, _ in which}):
        if (row["run_key"], row["rerun"]) in which:
            yield row


def _named_attempts(value: Any) -> Iterator[int]:
    """Yield the attempts whose epochs an outcome names, under `reads` at any depth."""
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if key == "reads":
            yield from (int(attempt_id) for attempt_id, _, _ in inner)
        else:
            yield from _named_attempts(inner)


def renumbered(value: Any, ids: Mapping[int, int]) -> Any:
    """Return an outcome with other ids for its attempts."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: [[ids[one], first, last] for one, first, last in inner]
        if key == "reads"
        else renumbered(inner, ids)
        for key, inner in value.items()
    }

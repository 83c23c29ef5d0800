"""On which attempts results rest: their epochs, their stages, what these went on from, analyses.

Copies nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from runner.store.analysis_values import newest_attempt
from runner.store.reference import COUNTING
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
    found = _attempts_of_analyses(connection, wanted) | {
        row.attempt_id
        for row in connection.execute(sa.select(run_epochs))
        if (row.run_key, row.rerun) in wanted
    }
    chain = {
        row.stage_key
        for row in connection.execute(sa.select(run_stages))
        if (row.run_key, row.rerun) in wanted
    }
    named: dict[int, set[int]] = {}
    columns = (attempts.c.id, attempts.c.stage_key, attempts.c.status, attempts.c.outcome)
    for row in connection.execute(sa.select(*columns)):
        named[row.id] = set(_named_attempts(row.outcome))
        if row.stage_key in chain and row.status in ENDED:
            found.add(row.id)
    new = set(found)
    while new:
        new = {each for one in new for each in named[one]} - found
        found |= new
    return found


def _attempts_of_analyses(connection: sa.Connection, which: set[tuple[str, int]]) -> set[int]:
    """Return the attempts whose values the analyses of results have."""
    stage_keys = {
        row.stage_key
        for row in connection.execute(sa.select(analyses))
        if (row.run_key, row.rerun) in which
    }
    newest = (newest_attempt(connection, key) for key in sorted(stage_keys))
    return {attempt.id for attempt in newest if attempt is not None}


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

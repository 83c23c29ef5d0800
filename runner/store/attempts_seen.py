"""Attempts as somebody sees them who watches: new ones, and what became of those at work."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from runner.store.database import Database, read_again
from runner.store.schema import attempts, claims, steps

BATCH = 500


@dataclass(frozen=True, slots=True)
class AttemptSeen:
    """An attempt at a stage.

    Attributes:
        id: of the attempt; later ones have higher ids.
        stage_key: what it is at.
        status: running, or how it ended.
        seconds: that it took, 0 while it is at work.
        error: why it has no result, or "".
        epoch: the last epoch that it has recorded, 0 before.
    """

    id: int
    stage_key: str
    status: str
    seconds: float
    error: str
    epoch: int


@read_again
def newest_attempt_id(database: Database) -> int:
    """Return the id of the newest attempt, 0 without one."""
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.max(attempts.c.id))).scalar() or 0)


@read_again
def newest_and_claimed(database: Database) -> tuple[int, set[int]]:
    """Return the id of the newest attempt, 0 without one, and those of the attempts at work."""
    with database.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(attempts.c.id))).scalar()
        at_work = connection.execute(sa.select(claims.c.attempt_id)).scalars()
        return int(newest or 0), {int(number) for number in at_work}


@read_again
def attempts_since(database: Database, seen: int, at_work: Collection[int]) -> list[AttemptSeen]:
    """Return the attempts with ids above ``seen``, and those ``at_work``, by id."""
    columns = (attempts.c.id, attempts.c.stage_key, attempts.c.status, attempts.c.seconds)
    last = sa.func.max(steps.c.epoch).label("epoch")
    query = (
        sa.select(*columns, attempts.c.error, last)
        .join_from(attempts, steps, steps.c.attempt_id == attempts.c.id, isouter=True)
        .group_by(*columns, attempts.c.error)
    )
    old = sorted(each for each in at_work if each <= seen)
    asked = [old[start : start + BATCH] for start in range(0, len(old), BATCH)]
    with database.read() as connection:
        rows = list(connection.execute(query.where(attempts.c.id > seen)))
        for batch in asked:
            rows += connection.execute(query.where(attempts.c.id.in_(batch)))
    found = [
        AttemptSeen(r.id, r.stage_key, r.status, r.seconds or 0.0, r.error, r.epoch or 0)
        for r in rows
    ]
    return sorted(found, key=lambda attempt: attempt.id)

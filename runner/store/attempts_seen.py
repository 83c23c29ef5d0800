"""Attempts as somebody sees them who watches: new ones, and what became of those at work."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from runner.store.database import Database, read_again
from runner.store.rows import selected
from runner.store.schema import attempts, claims, steps


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
        return _newest(connection)


@read_again
def newest_and_claimed(database: Database) -> tuple[int, set[int]]:
    """Return the id of the newest attempt, 0 without one, and those of the attempts at work."""
    with database.read() as connection:
        newest = _newest(connection)
        at_work = connection.execute(sa.select(claims.c.attempt_id)).scalars()
        return newest, {int(number) for number in at_work}


def _newest(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.max(attempts.c.id))).scalar() or 0)


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
    old = [each for each in at_work if each <= seen]
    with database.read() as connection:
        new = connection.execute(query.where(attempts.c.id > seen)).all()
        rows = [*new, *selected(connection, query, attempts.c.id, old)]
    found = [
        AttemptSeen(r.id, r.stage_key, r.status, r.seconds or 0.0, r.error, r.epoch or 0)
        for r in rows
    ]
    return sorted(found, key=lambda attempt: attempt.id)

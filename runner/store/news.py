"""What other processes have ended and do now: read for all stages at once, since the last look.

Nothing depends on it: who claims a stage looks at that one again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.attempts_seen import newest_and_claimed
from runner.store.claims import is_held
from runner.store.database import Database, read_again
from runner.store.leases import Moment
from runner.store.rows import selected
from runner.store.schema import attempts, claims, results

ENDED = ("done", "diverged", "failed")


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """An attempt that has ended.

    Attributes:
        stage_key: at which stage.
        status: done, diverged or failed.
        error: why it failed, or "".
        outcomes: what became of the runs that read a training.
    """

    stage_key: str
    status: str
    error: str
    outcomes: Mapping[str, Mapping[str, Any]]


class News:
    """Follows the attempts of a database from now on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest, self._open = newest_and_claimed(database)

    def ended_before(self, stage_keys: Collection[str]) -> dict[str, EndedAttempt]:
        """Return how stages have ended until now, by key: a success before a failure."""
        found: dict[str, EndedAttempt] = {}
        for each in _ended(self._database, stage_keys):
            known = found.get(each.stage_key)
            if known is None or known.status == "failed" or each.status != "failed":
                found[each.stage_key] = each
        return found

    def ended(self) -> list[EndedAttempt]:
        """Return the attempts that have ended since the last look, failures behind successes."""
        rows = _attempts(self._database, self._newest, self._open)
        self._newest = max([self._newest, *(row.id for row in rows)])
        self._open = {row.id for row in rows if row.status == "running"}
        found = [_ended_attempt(row) for row in rows if row.status in ENDED]
        return sorted(found, key=lambda each: each.status == "failed")

    def held(self) -> set[str]:
        """Return the keys of the stages that living processes do now."""
        return _held(self._database)


_COLUMNS = (
    attempts.c.id,
    attempts.c.stage_key,
    attempts.c.status,
    attempts.c.error,
    attempts.c.outcome,
)


@read_again
def _attempts(database: Database, newest: int, others: Collection[int]) -> Sequence[Any]:
    query = sa.select(*_COLUMNS).where(sa.or_(attempts.c.id > newest, attempts.c.id.in_(others)))
    with database.read() as connection:
        return connection.execute(query.order_by(attempts.c.id)).all()


@read_again
def _ended(database: Database, stage_keys: Collection[str]) -> list[EndedAttempt]:
    """Return the ended attempts at stages, the oldest of each stage first."""
    query = sa.select(*_COLUMNS).where(attempts.c.status.in_(ENDED)).order_by(attempts.c.number)
    with database.read() as connection:
        rows = selected(connection, query, attempts.c.stage_key, stage_keys)
        return [_ended_attempt(row) for row in rows]


def _ended_attempt(row: Any) -> EndedAttempt:
    readers = dict(row.outcome or {}).get("readers", {})
    return EndedAttempt(row.stage_key, row.status, row.error, readers)


@read_again
def _held(database: Database) -> set[str]:
    with database.read() as connection:
        moment = Moment.now(connection)
        rows = connection.execute(sa.select(claims)).all()
        return {row.stage_key for row in rows if is_held(row, moment)}


@read_again
def results_there(database: Database, reruns: Mapping[str, int]) -> dict[str, str]:
    """Return how runs ended that have the result of a repetition and have not failed.

    Args:
        database: the database.
        reruns: which repetition of each run.
    """
    query = sa.select(results.c.run_key, results.c.rerun, results.c.status)
    with database.read() as connection:
        return {
            row.run_key: row.status
            for row in selected(connection, query, results.c.run_key, reruns)
            if row.rerun == reruns[row.run_key] and row.status != "failed"
        }

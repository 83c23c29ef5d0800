"""Trainings that would do the same epochs under two keys: of one such, the others wait for its end.

Two plans of different runs may have the same epochs in trainings of different keys. Which epochs
are the same is what their trajectories say.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import sqlalchemy as sa

from runner.artifacts.process import Process
from runner.core.stages import Train
from runner.core.trajectory import Trajectory
from runner.store.attempts_seen import newest_and_claimed
from runner.store.claims import ENDED, is_held, owner_of
from runner.store.database import Database, read_again
from runner.store.leases import Moment
from runner.store.schema import attempts, claims, stages

# Asked while nobody else can claim: only trainings that may have epochs in common are read.
_AT_WORK = (
    sa.select(claims, stages.c.spec)
    .join(stages, stages.c.stage_key == claims.c.stage_key)
    .where(
        stages.c.kind == sa.bindparam("kind"),
        claims.c.stage_key != sa.bindparam("mine"),
        stages.c.spec[("path", 0, "key")].as_string() == sa.bindparam("first"),
    )
)


class TrainedElsewhere:
    """Tells who trains some epochs of a training now, under another key."""

    def __init__(self, stage: Train) -> None:
        self._stage = stage

    def __call__(self, connection: sa.Connection, moment: Moment) -> Process | None:
        """Return the living process, None where none does; this process does not count."""
        mine = self._stage
        asked = {"kind": mine.kind, "mine": mine.key, "first": mine.trajectory.key}
        for row in connection.execute(_AT_WORK, asked):
            owner = owner_of(row)
            if owner.is_of_this_boot() and owner.pid == os.getpid():
                continue
            common = mine.trajectory.common_epochs(Trajectory.from_json(row.spec["path"]))
            begins = max(mine.first_epoch, row.spec["first_epoch"])
            if common >= begins and row.spec.get("recorded") is None and is_held(row, moment):
                return owner
        return None


class TrainedSince:
    """Trainings of other plans that have ended since one was made: what they left may be used."""

    def __init__(self, database: Database, planned: Collection[str]) -> None:
        """Begin now.

        Args:
            database: where attempts are recorded.
            planned: keys of the stages of the plan.
        """
        self._database, self._planned = database, planned
        self._others: dict[str, tuple[Trajectory, int]] = {}
        # what had ended by then is known to the plan, also behind the claim of a dead process
        self._seen, self._open = newest_and_claimed(database)

    @read_again
    def look(self) -> None:
        """Learn what has ended meanwhile."""
        query = (
            sa.select(attempts.c.id, attempts.c.stage_key, attempts.c.status)
            .join(stages, stages.c.stage_key == attempts.c.stage_key)
            .where(
                sa.or_(attempts.c.id > self._seen, attempts.c.id.in_(sorted(self._open))),
                stages.c.kind == Train.kind,
            )
            .order_by(attempts.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            for row in rows:
                if row.status in ENDED and row.stage_key not in self._planned:
                    spec = connection.execute(
                        sa.select(stages.c.spec).where(stages.c.stage_key == row.stage_key)
                    ).scalar_one()
                    path = Trajectory.from_json(spec["path"])
                    self._others[row.stage_key] = path, spec["first_epoch"]
        self._open = {row.id for row in rows if row.status == "running"}
        self._seen = max([self._seen, *(row.id for row in rows)])

    def has_epochs_of(self, stage: Train) -> bool:
        """Return whether one of them has epochs that a training would do."""
        return any(
            stage.trajectory.common_epochs(path) >= max(stage.first_epoch, first)
            for path, first in self._others.values()
        )

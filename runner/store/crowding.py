"""How many workers of one device may be at work, while one does what was too much beside others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from runner.artifacts.process import Process
from runner.store.claims import InTheWay, is_held, owner_of
from runner.store.leases import Moment
from runner.store.schema import claims, stages


@dataclass(frozen=True)
class Crowded:
    """Tells who keeps a stage waiting, since more at once would not fit into a device's memory.

    Attributes:
        cost_key: of the stage.
        most: workers that may be at work while a stage of a cost key is, where that was learnt.
        pids: the workers of the device, on this machine.
    """

    cost_key: str
    most: Mapping[str, int]
    pids: frozenset[int]

    def __call__(self, connection: sa.Connection, moment: Moment) -> Process | None:
        """Return another one at work, None where there is room for this process among them."""
        query = (
            sa.select(claims, stages.c.cost_kind)
            .join(stages, stages.c.stage_key == claims.c.stage_key)
            .where(claims.c.pid.in_(self.pids))
        )
        at_work = [
            row
            for row in connection.execute(query)
            if owner_of(row).is_of_this_boot() and is_held(row, moment)
        ]
        shapes = {self.cost_key, *(row.cost_kind for row in at_work)}
        limits = [self.most[shape] for shape in shapes if shape in self.most]
        others = {row.pid: row for row in at_work if row.pid != os.getpid()}
        if not limits or len(others) < min(limits):
            return None
        return owner_of(next(iter(others.values())))


def either(*asked: InTheWay | None) -> InTheWay | None:
    """Return what tells of any of several that may be in the way."""
    given = [each for each in asked if each is not None]
    if len(given) < 2:
        return given[0] if given else None

    def first(connection: sa.Connection, moment: Moment) -> Process | None:
        found = (each(connection, moment) for each in given)
        return next((owner for owner in found if owner is not None), None)

    return first

"""Who works where on what: the claims of a database, with what each process does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.claims import is_held, owner_of
from runner.store.database import Database
from runner.store.leases import Moment
from runner.store.schema import attempts, claims, environments, run_stages, stages, steps


@dataclass(frozen=True, slots=True)
class AtWork:
    """A process and a stage that it does.

    Attributes:
        host: the machine.
        pid: of the process.
        device: its name.
        place: which of the machine's devices, as ``cuda:1``; "" where that was not recorded.
        stage_key: of the stage.
        kind: of the stage.
        spec: the stage as recorded.
        runs: how many read it.
        epoch: the last that was recorded, 0 without.
        since: seconds since 1970 (UTC).
        lease: seconds that it has left; below 0 it has run out.
        is_alive: whether the lease lasts and the process is not known to be dead.
    """

    host: str
    pid: int
    device: str
    place: str
    stage_key: str
    kind: str
    spec: Mapping[str, Any]
    runs: int
    epoch: int
    since: float
    lease: float
    is_alive: bool


def at_work(database: Database) -> list[AtWork]:
    """Return the stages that processes have claimed, by machine and process."""
    readers = (
        sa.select(sa.func.count())
        .where(run_stages.c.stage_key == claims.c.stage_key)
        .scalar_subquery()
    )
    epoch = (
        sa.select(sa.func.max(steps.c.epoch))
        .where(steps.c.attempt_id == claims.c.attempt_id)
        .scalar_subquery()
    )
    query = (
        sa.select(
            claims,
            attempts.c.device,
            attempts.c.started,
            environments.c.content,
            stages.c.kind,
            stages.c.spec,
            readers.label("readers"),
            epoch.label("epoch"),
        )
        .join(attempts, attempts.c.id == claims.c.attempt_id)
        .join(environments, environments.c.id == attempts.c.environment_id)
        .join(stages, stages.c.stage_key == claims.c.stage_key)
        .order_by(claims.c.host, claims.c.pid, attempts.c.started, attempts.c.id)
    )
    with database.read() as connection:
        moment = Moment.now(connection)
        return [
            AtWork(
                host=row.host,
                pid=row.pid,
                device=row.device,
                place=str(row.content.get("place", "")),
                stage_key=row.stage_key,
                kind=row.kind,
                spec=row.spec,
                runs=row.readers,
                epoch=row.epoch or 0,
                since=row.started,
                lease=_lease(row, moment),
                is_alive=is_held(row, moment),
            )
            for row in connection.execute(query)
        ]


def _lease(row: Any, moment: Moment) -> float:
    if owner_of(row).is_of_this_boot() and row.lease_monotonic is not None:
        return float(row.lease_monotonic) - moment.monotonic
    return float(row.lease_until) - moment.wall

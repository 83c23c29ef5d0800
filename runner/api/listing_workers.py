"""The verb `list_workers`: who works where on what, since when, with the lease."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from runner.api.frames import Framed, frame_of
from runner.bind.workspace import workspace
from runner.core.stages import Stage, StageKind
from runner.core.stored_stages import stage_from_json
from runner.store.at_work import AtWork, at_work

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A process and a stage that it does; one that does several together has a row for each.

    Attributes:
        host: the machine.
        pid: of the process there.
        device: where it computes: its name, and which of several.
        stage: key of the stage.
        does: what that is, in words.
        runs: how many runs read it.
        epoch: the last one that was recorded, 0 without.
        since: when it began, in seconds since 1970 (UTC).
        lease: seconds until others may take it over; below 0 they may.
        alive: whether the lease lasts and the process is not known to be dead.
    """

    host: str
    pid: int
    device: str
    stage: str
    does: str
    runs: int
    epoch: int
    since: float
    lease: float
    alive: bool


@dataclass(frozen=True, slots=True, repr=False)
class WorkerList(Framed):
    """The processes that do stages of a database.

    Attributes:
        rows: by machine and process.
        left: runs that are wanted and have no result yet.
    """

    rows: tuple[WorkerRow, ...]
    left: int

    def frame(self) -> pd.DataFrame:
        """Return a row per stage that is done; its columns are those of a :class:`WorkerRow`."""
        return frame_of(WorkerRow, self.rows)


def list_workers(db: str | Path | None = None) -> WorkerList:
    """Return who works where on what; changes nothing.

    Args:
        db: the database, which must be there; results.db when not given.

    Raises:
        UsageError: when there is no database.
    """
    from runner.store.wanted import wanted_runs

    with workspace(db).open(create=False) as database:
        return WorkerList(tuple(map(_row, at_work(database))), len(wanted_runs(database)))


def _row(found: AtWork) -> WorkerRow:
    stage: Stage = stage_from_json(cast(StageKind, found.kind), found.stage_key, found.spec)
    which = f" ({found.place})" if found.place not in ("", found.device) else ""
    return WorkerRow(
        host=found.host,
        pid=found.pid,
        device=f"{found.device}{which}",
        stage=found.stage_key,
        does=stage.title(),
        runs=found.runs,
        epoch=found.epoch,
        since=found.since,
        lease=found.lease,
        alive=found.is_alive,
    )

"""What a worker does: it works on what is wanted in a database until nothing is left of it.

All wanted runs are planned together, whoever asked for them. When more is asked for meanwhile, they
are planned anew between two stages. Which stages other workers do is a matter of claims.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from runner.artifacts.process import Process
from runner.bind.late_numerics import LateNumerics
from runner.bind.plan_runs import PlannedRuns, plan_runs
from runner.bind.planned_records import record_planned
from runner.bind.request import Request
from runner.bind.wanted_runs import WantedRequest, bind_wanted
from runner.bind.workspace import Workspace
from runner.components.download import OnProgress
from runner.core.errors import Interrupted, StoreBusy
from runner.execute.carry_out import Carrying, execute_plan
from runner.execute.listener import Listener
from runner.execute.pool import Pool
from runner.store.database import Database, read_again
from runner.store.progress import failed_attempts
from runner.store.wanted import Version, wanted_runs, wanted_version
from runner.store.watching import CommitCounter

LOOK_SECONDS = 1.0
"""How often who stays looks whether anything was committed, and so may be wanted."""


@dataclass(frozen=True)
class Told:
    """Who is told what.

    Attributes:
        listen: makes the listener of a plan.
        should_stop: asked after every step.
        on_note: hears what cannot be done here, and of the data.
        on_progress: hears of downloads; None where nothing may be downloaded.
        is_ours: as of a `PlanExecution`.
    """

    listen: Callable[[PlannedRuns], Listener]
    should_stop: Callable[[], bool]
    on_note: Callable[[str], None]
    on_progress: OnProgress | None
    is_ours: Callable[[Process], bool] = lambda process: False


def work_on_wanted(
    request: Request,
    home: Workspace,
    database: Database,
    told: Told,
    stay: bool = False,
    only: Mapping[str, int] | None = None,
    failures: Mapping[str, int] | None = None,
    since: int | None = None,
) -> None:
    """Do what is wanted, until nothing is left that can be done here.

    Args:
        request: how it is to be done; it has no specs.
        home: where things lie.
        database: where it is recorded.
        told: who is told what.
        stay: wait for more, until asked to stop.
        only: the only runs to do, and which repetition of each is wanted; what lacks of them is
            done also where they have a result.
        failures: as of a `PlanExecution`, for all plans.
        since: likewise.

    Raises:
        Interrupted: when asked to stop; what is finished is recorded.
    """
    numerics = LateNumerics(request)
    notes: set[str] = set()
    left: dict[str, int] = {}  # what cannot be done here, as long as nobody asks for more
    learnt: Version | None = None
    with closing(CommitCounter(database)) as commits, Pool() as pool:
        while True:
            _has_moved(commits)  # what is committed from now on ends the next waiting
            version = wanted_version(database)
            if only is None and version != learnt:
                left, learnt = {}, version
            is_outdated = partial(_has_changed, database, version)
            # before what is wanted is looked at: what fails from now on is not tried again
            failed = failed_attempts(database) if failures is None else failures
            wanted = wanted_runs(database) if only is None else dict(only)
            if wanted.items() <= left.items():
                if pool.is_at_work:  # on what nobody wants any more
                    pool.attend(is_outdated)
                elif stay:
                    _wait(told.should_stop, database, commits)
                else:
                    return
                continue
            bound = bind_wanted(request, home, database, wanted, told.on_progress)
            for note in _new(notes, bound):
                told.on_note(note)
            how = Carrying(
                told.should_stop, is_outdated, True, told.is_ours, failed, since, workers=pool
            )
            if not bound.bound.cells or _is_done(bound, database, numerics, told, how):
                now = wanted_runs(database) if only is None else wanted
                if only is None and is_outdated():
                    continue  # what is wanted now may be another repetition, asked for meanwhile
                left |= {key: rerun for key, rerun in now.items() if key in wanted}


def _is_done(
    wanted: WantedRequest,
    database: Database,
    numerics: LateNumerics,
    told: Told,
    how: Carrying,
) -> bool:
    """Do what is bound; return whether all has ended, or else what is left is to be planned anew.

    Raises:
        Interrupted: when asked to stop.
    """
    planned = plan_runs(wanted.bound, database, numerics, repetitions=wanted.repetitions)
    record_planned(database, planned)
    return execute_plan(planned, database, numerics, told.listen(planned), how)


def _has_changed(database: Database, version: Version) -> bool:
    return wanted_version(database) != version


def _new(notes: set[str], bound: WantedRequest) -> list[str]:
    """Return the notes that were not told yet."""
    left = [f"runs of {name} are left to other workers: {why}" for name, why in bound.left.items()]
    new = [note for note in [*bound.bound.notes, *left] if note not in notes]
    notes.update(new)
    return new


def _wait(should_stop: Callable[[], bool], database: Database, commits: CommitCounter) -> None:
    """Wait until somebody has committed something, so that more may be wanted.

    Raises:
        Interrupted: when asked to stop.
        StoreGone: when the database's file was removed or replaced.
    """
    looked = time.monotonic()
    while True:
        if should_stop():
            raise Interrupted("stopped; nothing was at work")
        time.sleep(LOOK_SECONDS / 10)
        if time.monotonic() > looked + LOOK_SECONDS:
            database.check()
            if _has_moved(commits):
                return
            looked = time.monotonic()


@read_again
def _has_moved(commits: CommitCounter) -> bool:
    """Return whether there was a commit, or that cannot be told now."""
    try:
        return commits.has_moved()
    except StoreBusy:
        return True  # whoever reads waits longer

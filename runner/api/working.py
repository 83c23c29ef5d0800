"""The verb `work`: do what is wanted in a database, whoever asked for it, until nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.api.running import silent
from runner.artifacts.lock import shared
from runner.bind.plan_runs import PlannedRuns
from runner.bind.request import as_request
from runner.bind.workspace import workspace
from runner.components.download import Downloading, OnProgress
from runner.core.errors import Interrupted, UsageError
from runner.core.records import RunStatus
from runner.store.progress import ended_stages, latest_results
from runner.store.wanted import wanted_runs

if TYPE_CHECKING:
    import pandas as pd

    from runner.execute.listener import Listener

MEANINGLESS = ("specs", "only", "profile", "sets", "limit", "runs", "rerun", "retry_failed")
"""Options that choose runs: a worker does all that are wanted."""


@dataclass(frozen=True, repr=False)
class WorkSummary(Framed):
    """How a worker ended.

    Attributes:
        statuses: of the runs that were wanted meanwhile and have a result now, by key.
        left: how many runs are wanted still.
        was_stopped: whether its time was over before nothing was left.
        has_moved: whether a stage has ended meanwhile or a training went on, by any worker:
            if not, another such time would bring nothing either.
        failed_analyses: analyses that were wanted meanwhile and failed; no worker tries them again.
    """

    statuses: Mapping[str, RunStatus]
    left: int
    was_stopped: bool = False
    has_moved: bool = True
    failed_analyses: int = 0

    def frame(self) -> pd.DataFrame:
        """Return a row per run. Columns: run (its key), status."""
        import pandas as pd

        return pd.DataFrame(sorted(self.statuses.items()), columns=["run", "status"])


def work(
    db: str | Path | None = None,
    *,
    stay: bool = False,
    max_hours: float | None = None,
    listen: Callable[[PlannedRuns], Listener] = silent,
    should_stop: Callable[[], bool] = lambda: False,
    is_time_over: Callable[[], bool] = lambda: False,
    on_progress: OnProgress = lambda progress: None,
    on_note: Callable[[str], None] = lambda note: None,
    **options: Any,
) -> WorkSummary:
    """Do what is wanted in a database: runs of recorded experiments that have no result yet.

    Args:
        db: the database, which must be there; results.db when not given.
        stay: wait for more when nothing is left, until asked to stop.
        max_hours: stop after so long, as when asked to.
        listen: makes the listener, once for each plan.
        should_stop: asked after every step.
        is_time_over: likewise; ends it as `max_hours` does.
        on_progress: hears of downloads.
        on_note: hears what cannot be done here, and what a person should know of the data.
        options: as in :class:`runner.api.Request`, but those that choose runs.

    Raises:
        UsageError: when there is no database, or for an option that chooses runs.
        Interrupted: when asked to stop.
    """
    from runner.execute.standing import standing
    from runner.execute.work import Told, work_on_wanted

    chosen = [name for name in options if name in MEANINGLESS]
    if chosen:
        raise UsageError(f"a worker does all that is wanted: it takes no '{chosen[0]}'")
    request = as_request((), {**options, "db": db})
    home = workspace(request.db, request.data, request.artifacts)
    home.shared()  # that there is such a place is known before any work
    ends = None if max_hours is None else time.monotonic() + 3600 * max_hours

    def is_over() -> bool:
        return is_time_over() or (ends is not None and time.monotonic() > ends)

    def stop() -> bool:
        return should_stop() or is_over()

    def downloading(progress: Downloading) -> None:
        if stop():
            raise Interrupted(f"stopped while downloading {progress.name}; it starts again later")
        on_progress(progress)

    for note in home.place_notes():
        on_note(note)
    asked: set[str] = set()
    analyses: set[str] = set()

    def begin(planned: PlannedRuns) -> Listener:
        asked.update(planned.run_keys)
        analyses.update(key for keys in planned.plan.analyses.values() for key in keys)
        return listen(planned)

    told = Told(begin, stop, on_note, downloading if request.download else None)
    was_stopped = False
    with home.open(create=False) as database:
        before = standing(database, home)
        try:
            with shared(home.folder):
                work_on_wanted(request, home, database, told, stay)
        except Interrupted as stopped:
            if not is_time_over() and (should_stop() or not is_over()):
                raise
            was_stopped = True
            on_note(stopped.found)
        results = latest_results(database, asked)
        after_runs = ended_stages(database, analyses)
        left = wanted_runs(database)
        has_moved = not was_stopped or before.is_behind(standing(database, home))
    statuses = {key: status for key, (status, _) in results.items() if key not in left}
    failed = sum(status == "failed" for status in after_runs.values())
    return WorkSummary(statuses, len(left), was_stopped, has_moved, failed)

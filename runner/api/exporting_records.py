"""The verb `export --to`: what is recorded, in another tool for experiments."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed, frame_of
from runner.bind.exported_cells import (
    ExportedCell,
    ExportedCells,
    Which,
    exported_cells,
    group_name,
)
from runner.bind.metric_names import names_for_export, with_export_names
from runner.bind.request import several
from runner.bind.workspace import workspace
from runner.core.text import without_login
from runner.report.tables.declared import fill, stored_tables
from runner.report.trackers.pictures import TrackedPicture, report_pictures
from runner.report.trackers.tracker import Result, TrackedRun, TrackedTable, Tracker
from runner.spec.cell_names import cell_reference
from runner.store.database import Database
from runner.store.run_history import Standing, run_history, standing

if TYPE_CHECKING:
    import pandas as pd

POLL_SECONDS = 5.0
"""Between two looks at a database whose runs go on."""

TICK_SECONDS = 0.2
STATUSES = ("done", "diverged", "failed", "unfinished")
OnProgress = Callable[[int, int], Any]


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """A run of an experiment, and how it stands.

    Attributes:
        experiment: its name.
        variant: of it.
        cell: the first that has the run.
        run: its key, "" where it is not known yet.
        status: done, diverged, failed or unfinished.
        message: why it diverged or failed, or "".
        exported: whether all that is recorded of it is there.
    """

    experiment: str
    variant: str
    cell: str
    run: str
    status: str
    message: str
    exported: bool


@dataclass(frozen=True, slots=True, repr=False)
class ExportedRecords(Framed):
    """What another tool shows now.

    Attributes:
        place: the folder or the URL, without a login.
        look: the command that shows it, or "".
        runs: all that were asked for.
        tables: how many.
        pictures: how many.
    """

    place: str
    look: str
    runs: tuple[ExportedRun, ...]
    tables: int
    pictures: int

    def counts(self) -> dict[str, int]:
        """Return how many runs have which status, of those that there are."""
        counts = Counter(run.status for run in self.runs)
        return {status: counts[status] for status in STATUSES if counts[status]}

    def frame(self) -> pd.DataFrame:
        """Return a row per run: experiment, variant, cell, run, status, message, exported."""
        return frame_of(ExportedRun, self.runs)


def export_records(
    to: str,
    names: str | Path | Sequence[str | Path] = (),
    *,
    place: str | Path | None = None,
    variant: str = "",
    db: str | Path | None = None,
    figures: str | Path | None = None,
    follow: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> ExportedRecords:
    """Write what is recorded of runs for another tool: settings, numbers and tables.

    What is there from an earlier export stays, and only what is new is written; what was killed
    is completed by the next.

    Args:
        to: the tool, a name in :data:`runner.report.trackers.kinds.TRACKERS`.
        names: experiments, spec files, cells and runs; all experiments without.
        place: the folder, or the URL of a server; by the tool when not given.
        variant: of the experiments.
        db: the database; results.db when not given.
        figures: a folder that `report --figures` has written, whose pictures are exported too.
        follow: go on until no run is unfinished.
        on_progress: hears how many runs are looked at, of how many, also while nothing happens;
            what it raises ends the export.

    Raises:
        UsageError: when a name means nothing, packages are missing, or nothing can be written.
        DamagedDatabase: when something is not what was recorded.
    """
    from runner.report.trackers.kinds import find_tracker

    kind = find_tracker(to)
    where = str(place) if place is not None else kind.usual_place()
    wanted = [str(name) for name in several(names)]
    with closing(kind(where)) as tracker, workspace(db).open(create=False) as database:
        before: object = None
        while True:
            cells = exported_cells(database, wanted, variant)
            now = standing(database)
            if (cells, now) != before:
                beside = _beside(database, cells.whole, figures)
                runs = _export(database, tracker, cells, now, beside, on_progress)
                before = (cells, now)
            if not follow or all(run.status != "unfinished" for run in runs):
                shown = without_login(where)
                look = kind.look.format(place=shlex.quote(shown))
                return ExportedRecords(shown, look, runs, len(beside[0]), len(beside[1]))
            _wait(on_progress, sum(run.status != "unfinished" for run in runs), len(runs))


def _beside(
    database: Database, whole: Sequence[Which], figures: str | Path | None
) -> tuple[list[TrackedTable], list[TrackedPicture]]:
    """Return the tables of whole experiments, and the pictures of a report of one of them."""
    tables = [
        TrackedTable(group_name(ref.experiment, ref.variant), fill(database, ref))
        for ref in stored_tables(database)
        if (ref.experiment, ref.variant) in whole
    ]
    if figures is None:
        return tables, []
    groups = [group_name(*which) for which in whole]
    return tables, report_pictures(Path(figures), groups)


def _export(
    database: Database,
    tracker: Tracker,
    cells: ExportedCells,
    now: Standing,
    beside: tuple[Sequence[TrackedTable], Sequence[TrackedPicture]],
    on_progress: OnProgress,
) -> tuple[ExportedRun, ...]:
    """Write what is new; return how runs stand."""
    found: list[ExportedRun] = []
    metrics = names_for_export(database)
    on_progress(0, len(cells.cells))
    with tracker:
        for each in cells.cells:
            which = (each.cell.experiment, each.cell.variant)
            own = metrics.get(which, {})
            found.append(_export_run(database, tracker, each, now, own))
            on_progress(len(found), len(cells.cells))
        tracker.write_tables(beside[0])
        tracker.write_pictures(beside[1])
    return tuple(found)


def _export_run(
    database: Database,
    tracker: Tracker,
    where: ExportedCell,
    now: Standing,
    own: Mapping[str, str],
) -> ExportedRun:
    cell, key = where.cell, where.cell.run_key or ""
    ended, numbers = now.ended.get(key), now.numbers.get(key, 0)
    result = None if ended is None else Result(ended.rerun, ended.recorded, numbers)
    exported = result is not None or (tracker.takes_running and numbers > 0)
    if exported and not (result is not None and tracker.has(where, result)):
        history = with_export_names(run_history(database, key), own)
        tracker.write(TrackedRun(where, history, result))
    return ExportedRun(
        experiment=cell.experiment,
        variant=cell.variant,
        cell=cell_reference(cell.experiment, cell.position, cell.seed, cell.variant, cell.fold),
        run=key,
        status="unfinished" if ended is None else ended.status,
        message="" if ended is None else ended.message,
        exported=exported,
    )


def _wait(on_progress: OnProgress, done: int, total: int) -> None:
    """Wait until it is time to look again; progress is heard of meanwhile, so that it can stop."""
    until = time.monotonic() + POLL_SECONDS
    while time.monotonic() < until:
        on_progress(done, total)
        time.sleep(TICK_SECONDS)

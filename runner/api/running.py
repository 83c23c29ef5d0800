"""The verb `run`: bind, plan, record what is wanted, execute, fill the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.api.listing import cell_frame
from runner.artifacts.lock import shared
from runner.bind.bound_request import bind_request
from runner.bind.changed_code import ChangedCode, changed_code_of
from runner.bind.code_digests import Sources
from runner.bind.plan_runs import PlannedRuns
from runner.bind.request import Asked, as_request
from runner.bind.workspace import Workspace
from runner.components.download import Downloading, OnProgress
from runner.core.errors import Interrupted, UsageError
from runner.core.records import RunStatus
from runner.report.tables.declared import TableRef, fill
from runner.report.tables.table import TableData
from runner.spec.experiment import Experiment
from runner.store.database import Database
from runner.store.merge import MergeListener, import_reference
from runner.store.progress import ended_stages, latest_results
from runner.store.queries import run_rows
from runner.store.reference import ReferenceResult

if TYPE_CHECKING:
    import pandas as pd

    from runner.execute.listener import Listener


@dataclass(frozen=True)
class RunTable:
    """A table of a spec that was run.

    Attributes:
        name: of the table.
        data: the table, or None where its cells do not fit into its pivot.
        problem: why not, or "".
    """

    name: str
    data: TableData | None
    problem: str = ""


@dataclass(frozen=True, repr=False)
class RunSummary(Framed):
    """How a `run` ended.

    Attributes:
        experiments: that were run.
        before: runs that had a result before, imported ones included.
        imported: results that were copied from the reference.
        statuses: of every wanted run that has a result now.
        wanted: number of wanted runs.
        changed: runs that have a result now, of other code than today's.
        tables: of the experiments.
        workspace: where the results are recorded.
        failed_measurements: evaluations that tables ask for that failed.
        failed_analyses: analyses that failed.
    """

    experiments: tuple[Experiment, ...]
    before: int
    imported: Sequence[ReferenceResult]
    statuses: Mapping[str, RunStatus]
    wanted: int
    changed: ChangedCode
    tables: tuple[RunTable, ...]
    workspace: Workspace
    failed_measurements: int = 0
    failed_analyses: int = 0

    def frame(self) -> pd.DataFrame:
        """Return one row per cell as recorded now; see :meth:`runner.api.listing.CellList.frame`.

        Raises:
            UsageError: when the database is not there any more.
        """
        with self.workspace.open(create=False) as database:
            rows = [
                row
                for experiment in self.experiments
                for row in run_rows(database, experiment.name)
                if row["variant"] == experiment.variant
            ]
        return cell_frame(rows)


def silent(planned: PlannedRuns) -> Listener:
    """Return a listener that ignores everything."""
    from runner.execute.listener import NullListener

    return NullListener()


def run(
    asked: Asked,
    *,
    listen: Callable[[PlannedRuns], Listener] = silent,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: OnProgress = lambda progress: None,
    on_imported: Callable[[Sequence[ReferenceResult]], None] = lambda results: None,
    on_note: Callable[[str], None] = lambda note: None,
    **options: Any,
) -> RunSummary:
    """Run what the database lacks.

    Args:
        asked: spec files, or a request.
        listen: makes the listener, once the plan is known.
        should_stop: asked after every step.
        on_progress: hears of downloads.
        on_imported: hears which results were copied from the reference, where that was asked for.
        on_note: hears what a person should know of the data, before anything starts.
        options: as in :class:`runner.api.Request`.

    Raises:
        SpecError: with every problem found; nothing was started.
        DownloadFailed: when a data set cannot be fetched; nothing was started.
        Interrupted: when asked to stop.
    """
    from runner.execute.carry_out import carry_out

    request = as_request(asked, options)

    def downloading(progress: Downloading) -> None:
        if should_stop():
            raise Interrupted(f"stopped while downloading {progress.name}; it starts again later")
        on_progress(progress)

    bound = bind_request(request, on_progress=downloading if request.download else None)
    for note in (*bound.workspace.place_notes(), *bound.notes):
        on_note(note)
    with bound.workspace.open() as database:
        imported: Sequence[ReferenceResult] = ()
        if request.use_reference:
            wanted = {cell.run.run_key for cell in bound.wanted_cells}
            imported = import_reference(database, wanted, MergeListener(on_note=on_note))
            on_imported(imported)
        with shared(bound.workspace.folder):
            planned = carry_out(bound, database, listen, should_stop)
        return _summary(planned, database, imported)


def _summary(
    planned: PlannedRuns, database: Database, imported: Sequence[ReferenceResult]
) -> RunSummary:
    experiments = planned.bound.experiments
    results = latest_results(database, planned.run_keys)
    statuses = {key: status for key, (status, _) in results.items()}
    sources = Sources(planned.bound.workspace.folder)
    ended = ended_stages(database, planned.plan.after_runs())
    analyses = {key for keys in planned.plan.analyses.values() for key in keys}
    failed = {key for key, status in ended.items() if status == "failed"}
    return RunSummary(
        experiments=tuple(experiments),
        before=sum(key in planned.facts.finished for key in planned.run_keys),
        imported=imported,
        statuses=statuses,
        wanted=len(planned.run_keys),
        changed=changed_code_of(planned, statuses, database, sources),
        tables=tuple(
            _filled(
                database, TableRef(table, experiment.name, experiment.variant, experiment.about)
            )
            for experiment in experiments
            for table in experiment.tables
        ),
        workspace=planned.bound.workspace.fixed(),
        failed_measurements=len(failed - analyses),
        failed_analyses=len(failed & analyses),
    )


def _filled(database: Database, ref: TableRef) -> RunTable:
    try:
        return RunTable(ref.table.name, fill(database, ref))
    except UsageError as error:  # a variant can make cells share a slot of a pivot
        return RunTable(ref.table.name, None, str(error))

"""The verb `run`: bind, plan, record what is wanted, execute, fill the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.api.listing import cell_frame
from runner.artifacts.lock import shared
from runner.bind.bound_request import BoundRequest, bind_request
from runner.bind.changed_code import ChangedCode, changed_code_of
from runner.bind.code_digests import Sources, recorded_code
from runner.bind.data_locations import data_locations, image_sources
from runner.bind.plan_runs import PlannedRuns, plan_runs
from runner.bind.planned_records import record_wanted
from runner.bind.request import Asked, as_request
from runner.components.download import Downloading, OnProgress
from runner.core.errors import Interrupted, UsageError
from runner.core.moments import reached
from runner.core.records import RunStatus
from runner.report.tables.declared import TableRef, fill
from runner.report.tables.table import TableData
from runner.spec.experiment import Experiment
from runner.store.database import Database
from runner.store.merge import import_reference
from runner.store.progress import latest_results
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
        rows: the recorded cells of the experiments.
        tables: of the experiments.
    """

    experiments: tuple[Experiment, ...]
    before: int
    imported: Sequence[ReferenceResult]
    statuses: Mapping[str, RunStatus]
    wanted: int
    changed: ChangedCode
    rows: tuple[Mapping[str, Any], ...]
    tables: tuple[RunTable, ...]

    def frame(self) -> pd.DataFrame:
        """Return one row per cell, as :meth:`runner.api.listing.CellList.frame` has them."""
        return cell_frame(self.rows)


def _silent(planned: PlannedRuns) -> Listener:
    from runner.execute.listener import NullListener

    return NullListener()


def run(
    asked: Asked,
    *,
    listen: Callable[[PlannedRuns], Listener] = _silent,
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
    from runner.engine.device import on_threads

    request = as_request(asked, options)

    def downloading(progress: Downloading) -> None:
        if should_stop():
            raise Interrupted(f"stopped while downloading {progress.name}; it starts again later")
        on_progress(progress)

    bound = bind_request(request, on_progress=downloading if request.download else None)
    for note in bound.notes:
        on_note(note)
    with bound.workspace.open() as database:
        imported: Sequence[ReferenceResult] = ()
        if request.use_reference:
            wanted = {cell.run.run_key for cell in bound.wanted_cells}
            imported = import_reference(database, wanted)
            on_imported(imported)
        with on_threads(request.threads), shared(bound.workspace.folder):
            planned = _execute(bound, database, listen, should_stop)
        return _summary(planned, database, imported)


def _summary(
    planned: PlannedRuns, database: Database, imported: Sequence[ReferenceResult]
) -> RunSummary:
    experiments = planned.bound.experiments
    results = latest_results(database, planned.run_keys)
    statuses = {key: status for key, (status, _) in results.items()}
    sources = Sources(planned.bound.workspace.folder)
    return RunSummary(
        experiments=tuple(experiments),
        before=sum(key in planned.facts.finished for key in planned.run_keys),
        imported=imported,
        statuses=statuses,
        wanted=len(planned.run_keys),
        changed=changed_code_of(planned, statuses, database, sources),
        rows=tuple(
            row
            for experiment in experiments
            for row in run_rows(database, experiment.name)
            if row["variant"] == experiment.variant
        ),
        tables=tuple(
            _filled(database, TableRef(table, each.name, each.variant, each.about))
            for each in experiments
            for table in each.tables
        ),
    )


def _filled(database: Database, ref: TableRef) -> RunTable:
    try:
        return RunTable(ref.table.name, fill(database, ref))
    except UsageError as error:  # a variant can make cells meet in one place of a pivot
        return RunTable(ref.table.name, None, str(error))


def _execute(
    bound: BoundRequest,
    database: Database,
    listen: Callable[[PlannedRuns], Listener],
    should_stop: Callable[[], bool],
) -> PlannedRuns:
    import torch

    from runner.engine.device import choose_device, environment, full_precision, numerics
    from runner.execute import EXECUTORS
    from runner.execute.plan_execution import PlanExecution, WorkerSetup

    request, folder = bound.request, bound.workspace.folder
    device = choose_device(request.device)
    full_precision()
    planned = plan_runs(bound, database, numerics(device))
    reached("runs planned, not recorded")
    record_wanted(database, planned)
    setup = WorkerSetup(
        request=request,
        workspace=bound.workspace,
        threads=torch.get_num_threads(),
        environment={**environment(), "modules": _code(folder, planned)},
        data=data_locations(bound.cells),
        weights=bound.weights,
        needed=tuple(name for stage in planned.plan.stages for name in stage.consumes),
        share_states="go_on_from_states" not in bound.disabled,
    )
    execution = PlanExecution(
        plan=planned.plan,
        facts=planned.facts,
        reruns=planned.reruns,
        setup=setup,
        database=database,
        sources=image_sources(bound.cells),
        listener=listen(planned),
        should_stop=should_stop,
    )
    EXECUTORS[request.executor](execution)
    return planned


def _code(folder: Path, planned: PlannedRuns) -> Mapping[str, str]:
    """Return the digests of the modules with which the runs without a result are made."""
    finished = planned.facts.finished
    settings = (
        cell.resolved.settings for cell in planned.cells if cell.run.run_key not in finished
    )
    return recorded_code(Sources(folder), settings)

"""The verb `run`: choose, bind, plan, record what is wanted, execute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.api.listing import CELL_COLUMNS
from runner.artifacts.lock import shared
from runner.bind.binder import Binder, BoundCell, load_experiments
from runner.bind.cell_filter import select_cells
from runner.bind.changed_code import ChangedCode, changed_code_of
from runner.bind.code_digests import Sources, recorded_code
from runner.bind.data_locations import data_locations, image_sources
from runner.bind.plan_runs import PlannedRuns, disabled_rules, plan_runs
from runner.bind.planned_records import record_wanted
from runner.bind.request import Request
from runner.bind.workspace import Workspace, workspace
from runner.components.download import Downloading, OnProgress
from runner.core.errors import Interrupted
from runner.core.moments import reached
from runner.core.records import RunStatus
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
class RunSummary:
    """How a `run` ended.

    Attributes:
        experiments: that were run.
        before: runs that had a result before, those that were taken included.
        taken: results that were taken from the reference.
        statuses: of every wanted run that has a result now.
        wanted: number of wanted runs.
        changed: runs that have a result now, of other code than today's.
    """

    experiments: tuple[Experiment, ...]
    before: int
    taken: Sequence[ReferenceResult]
    statuses: Mapping[str, RunStatus]
    wanted: int
    changed: ChangedCode


def run(
    specs: str | Path | Iterable[str | Path],
    only: Sequence[str] = (),
    profile: str | None = None,
    sets: Sequence[str] = (),
    limit: int | None = None,
    retry_failed: bool = False,
    rerun: bool = False,
    device: str | None = None,
    db: str | Path | None = None,
    data: str | Path | None = None,
    download: bool = True,
    use_reference: bool = False,
) -> pd.DataFrame:
    """Run specs; return one row per cell as :func:`runner.api.list_runs` does.

    Args:
        specs: spec files.
        only: label texts, ``label=text`` or ``setting=value``; only these cells.
        profile: name of a profile of the specs.
        sets: ``setting=value``, on top of every cell.
        limit: the most runs that are done now.
        retry_failed: do failed runs again.
        rerun: do runs that have a result once more, as a further repetition.
        device: ``cpu``, ``cuda``, ``cuda:1``; the GPU when there is one.
        db: the database; results.db when not given.
        data: folder in which data sets are looked for; RUNNER_DATA when not given.
        download: fetch public data sets that are not there.
        use_reference: copy results that the database lacks from the reference.

    Raises:
        SpecError: with every problem found; nothing was started.
        DownloadFailed: when a data set cannot be fetched; nothing was started.
    """
    import pandas as pd

    from runner.execute.listener import NullListener

    paths = [specs] if isinstance(specs, str | Path) else list(specs)
    request = Request(
        paths,
        only,
        profile,
        sets,
        limit,
        retry_failed,
        rerun,
        device,
        None,
        db,
        data,
        download=download,
        use_reference=use_reference,
    )
    ran = run_request(request, lambda wanted: NullListener(), lambda: False)
    with workspace(db, data).open(create=False) as database:
        rows = [
            row
            for experiment in ran.experiments
            for row in run_rows(database, experiment.name)
            if row["variant"] == experiment.variant
        ]
    return pd.DataFrame(rows, columns=CELL_COLUMNS)


def run_request(
    request: Request,
    listen: Callable[[PlannedRuns], Listener],
    should_stop: Callable[[], bool],
    on_progress: OnProgress = lambda progress: None,
    on_taken: Callable[[Sequence[ReferenceResult]], None] = lambda taken: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> RunSummary:
    """Do what is asked.

    Args:
        request: what is asked.
        listen: makes the listener, once the plan is known.
        should_stop: asked after every step.
        on_progress: hears of downloads.
        on_taken: hears which results were taken from the reference, where they were asked for.
        on_note: hears what a person should know of the data, before anything starts.

    Raises:
        SpecError: with every problem found; nothing was started.
        DownloadFailed: when a data set cannot be fetched; nothing was started.
        Interrupted: when asked to stop.
    """
    experiments = load_experiments(request.specs, request.profile, request.sets, request.data)
    place = workspace(request.db, request.data)

    def downloading(progress: Downloading) -> None:
        if should_stop():
            raise Interrupted(f"stopped while downloading {progress.name}; it starts again later")
        on_progress(progress)

    binder = Binder(place, on_progress=downloading if request.download else None)
    cells = chosen = binder.bind(select_cells(experiments, request.only))
    for note in binder.notes:
        on_note(note)
    if request.runs:
        chosen = [cell for cell in cells if cell.run.run_key in request.runs]
    with place.open() as database:
        taken: Sequence[ReferenceResult] = ()
        if request.use_reference:
            taken = import_reference(database, {cell.run.run_key for cell in chosen})
            on_taken(taken)
        with shared(place.folder):
            wanted = _execute(
                request, experiments, binder, cells, chosen, place, database, listen, should_stop
            )
        results = latest_results(database, wanted.chosen)
        statuses = {key: status for key, (status, _) in results.items()}
        changed = changed_code_of(wanted, statuses, database, Sources(place.folder))
    return RunSummary(
        experiments=tuple(experiments),
        before=sum(key in wanted.facts.finished for key in wanted.chosen),
        taken=taken,
        statuses=statuses,
        wanted=len(wanted.chosen),
        changed=changed,
    )


def _execute(
    request: Request,
    experiments: Sequence[Experiment],
    binder: Binder,
    cells: Sequence[BoundCell],
    chosen: Sequence[BoundCell],
    place: Workspace,
    database: Database,
    listen: Callable[[PlannedRuns], Listener],
    should_stop: Callable[[], bool],
) -> PlannedRuns:
    import torch

    from runner.engine.device import (
        choose_device,
        device_name,
        environment,
        full_precision,
        numerics,
    )
    from runner.execute import EXECUTORS
    from runner.execute.plan_execution import PlanExecution, WorkerSetup

    if request.threads is not None:
        torch.set_num_threads(request.threads)
    device = choose_device(request.device)
    full_precision()
    disabled = disabled_rules(request.no_share, request.disable)
    wanted = plan_runs(
        cells,
        chosen,
        database,
        place,
        device_name(device),
        request.rerun,
        request.retry_failed,
        request.limit,
        request.cache_limit,
        disabled,
        numerics=None if request.accept_mixed else numerics(device),
    )
    reached("runs planned, not recorded")
    record_wanted(database, experiments, wanted)
    setup = WorkerSetup(
        request=request,
        workspace=place,
        threads=torch.get_num_threads(),
        environment={**environment(), "modules": _code(place, wanted)},
        data=data_locations(cells),
        weights=binder.weights(),
        needed=tuple(name for stage in wanted.plan.stages for name in stage.consumes),
        share_states="go_on_from_states" not in disabled,
    )
    execution = PlanExecution(
        plan=wanted.plan,
        facts=wanted.facts,
        reruns=wanted.reruns,
        setup=setup,
        database=database,
        sources=image_sources(cells),
        listener=listen(wanted),
        should_stop=should_stop,
    )
    EXECUTORS[request.executor](execution)
    return wanted


def _code(place: Workspace, wanted: PlannedRuns) -> Mapping[str, str]:
    """Return the digests of the modules with which the runs without a result are made."""
    finished = wanted.facts.finished
    settings = (cell.resolved.settings for cell in wanted.cells if cell.run.run_key not in finished)
    return recorded_code(Sources(place.folder), settings)

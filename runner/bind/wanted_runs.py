"""The wanted runs of a database, bound: whoever asked for them, from whatever spec.

What is wanted is the store's to say. What cannot be done here is left to other workers, with a
reason: data that is not here or has changed, own code that this process may not run, settings that
this version does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from runner.bind.binder import Binder
from runner.bind.bound_cell import BoundCell
from runner.bind.bound_request import BoundRequest, disabled_rules
from runner.bind.recorded_experiments import recorded_experiment
from runner.bind.request import Request
from runner.bind.workspace import Workspace
from runner.components.download import OnProgress
from runner.core.errors import DataError, UsageError
from runner.spec.experiment import Experiment
from runner.store.database import Database
from runner.store.queries import StoredExperiment, stored_experiments


@dataclass(frozen=True)
class WantedRequest:
    """What is wanted and can be done here.

    Attributes:
        bound: the cells of the runs, as a request for them.
        repetitions: which repetition of each run is wanted.
        left: why runs are left to others, in words, by experiment.
    """

    bound: BoundRequest
    repetitions: Mapping[str, int]
    left: Mapping[str, str]


def bind_wanted(
    request: Request,
    home: Workspace,
    database: Database,
    wanted: Mapping[str, int],
    on_progress: OnProgress | None = None,
) -> WantedRequest:
    """Return wanted runs with their cells on their data, as far as they can be done here.

    Args:
        request: how they are to be done; it has no specs.
        home: where things lie.
        database: where they are recorded.
        wanted: which repetition of each run.
        on_progress: hears of downloads; None where nothing may be downloaded.
    """
    binder = Binder(home, provisional=True, on_progress=on_progress)
    experiments: list[Experiment] = []
    cells: list[BoundCell] = []
    left: dict[str, str] = {}
    for stored in stored_experiments(database):
        name = f"{stored.name}@{stored.variant}" if stored.variant else stored.name
        try:
            experiment, mine = _bound(database, binder, stored, wanted)
        except (UsageError, DataError, ValidationError) as error:
            left[name] = _words(error)
            continue
        here = [cell for cell in mine if cell.run.run_key in wanted]
        if experiment is not None and here:
            experiments.append(experiment)
            cells += here
        if len(here) < len(mine):
            left[name] = _gone(binder, mine, stored)
    bound = BoundRequest(
        request=request,
        workspace=home,
        experiments=experiments,
        cells=cells,
        disabled=disabled_rules(request.no_share, request.disable),
        weights=binder.weights(),
        notes=tuple(binder.notes),
    )
    here_now = {cell.run.run_key for cell in cells}
    return WantedRequest(bound, {key: wanted[key] for key in here_now}, left)


def _bound(
    database: Database, binder: Binder, stored: StoredExperiment, wanted: Mapping[str, int]
) -> tuple[Experiment | None, list[BoundCell]]:
    experiment = recorded_experiment(database, stored, wanted)
    return experiment, [] if experiment is None else binder.bind([experiment])


def _words(error: UsageError | DataError | ValidationError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"this version has not all that they are made of: {where}: {first['msg']}"
    return str(error)


def _gone(binder: Binder, cells: list[BoundCell], stored: StoredExperiment) -> str:
    """Return why the runs of some cells are not those that were recorded."""
    if binder.missing and any(cell.source is None for cell in cells):
        return str(binder.missing[-1])
    return f"their data has changed since; `runner run {stored.path}` looks at it anew"

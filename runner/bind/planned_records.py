"""Storing what an invocation wants, before anything is done.

Decides nothing: documents, cells and stages go to the database as they were bound and planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runner.bind.analyses import wanted_analyses
from runner.bind.bound_cell import BoundCell
from runner.bind.plan_runs import PlannedRuns
from runner.core.keys import canonical_json
from runner.core.run import Cell
from runner.spec.experiment import Experiment
from runner.store.analyses import record_analyses
from runner.store.catalogue import SpecRecord, record_experiment
from runner.store.chains import RunStages, record_chains, record_stages
from runner.store.database import Database


def record_wanted(database: Database, planned: PlannedRuns) -> None:
    """Store the documents with all their cells, and the stages of the runs of the bound ones.

    Args:
        database: where.
        planned: the experiments as their specs have them, those cells included that were not
            selected; the bound cells, and what is planned for them.
    """
    for experiment in planned.bound.experiments:
        bound = [cell for cell in planned.cells if cell.experiment.name == experiment.name]
        keys = {_place(cell.cell): cell.run.run_key for cell in bound}
        record_experiment(
            database,
            SpecRecord(
                name=experiment.name,
                variant=experiment.variant,
                about=experiment.about,
                path=str(experiment.path),
                document=experiment.document,
                source=experiment.source,
            ),
            keyed_cells=[(item.cell, keys.get(_place(item.cell))) for item in experiment.cells],
            wanted=[cell.run for cell in bound],
            chains=_chains(planned, keys.values()),
            fingerprints=_fingerprints(experiment, bound),
        )
    _record_after_runs(database, planned)


def record_planned(database: Database, planned: PlannedRuns) -> None:
    """Store the stages of runs that are recorded as wanted already, as they are planned now."""
    record_chains(database, _chains(planned, planned.run_keys))
    _record_after_runs(database, planned)


def _chains(planned: PlannedRuns, run_keys: Iterable[str]) -> dict[str, RunStages]:
    return {
        key: RunStages(planned.chains[key], planned.solo_keys[key], planned.reruns[key])
        for key in run_keys
    }


def _record_after_runs(database: Database, planned: PlannedRuns) -> None:
    """Store the stages of measurements and analyses, and who wants the analyses."""
    after = planned.plan.after_runs()
    if after:
        known = {stage.key: stage for stage in planned.naive.stages}
        known |= {stage.key: stage for stage in planned.plan.stages}
        record_stages(database, [stage for key, stage in known.items() if key in after])
    if wanted := wanted_analyses(planned.bound.wanted_cells, planned.naive, planned.reruns):
        record_analyses(database, wanted)


def _place(cell: Cell) -> tuple[int, int, int]:
    """Return where a cell stands in its experiment."""
    return cell.position, cell.seed, cell.fold


def _fingerprints(experiment: Experiment, bound: Sequence[BoundCell]) -> Mapping[str, str]:
    """Return the fingerprint of each cell's data that a bound cell has, too, by settings key.

    Nothing where all cells are bound: their runs are known.
    """
    if len(bound) == len(experiment.cells):
        return {}
    known = {
        canonical_json(cell.resolved.settings.data.source_settings()): cell.run.fingerprint
        for cell in bound
    }
    fingerprints = {
        item.cell.settings_key: known.get(canonical_json(item.settings.data.source_settings()))
        for item in experiment.cells
    }
    return {
        key: fingerprint for key, fingerprint in fingerprints.items() if fingerprint is not None
    }

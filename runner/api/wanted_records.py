"""Storing what an invocation wants, before anything is done.

Decides nothing: documents, cells and stages go to the database as they were bound and planned.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.api.wanting import Wanted
from runner.spec.experiment import Experiment
from runner.store.catalogue import record_experiment
from runner.store.database import Database


def record_wanted(database: Database, experiments: Sequence[Experiment], wanted: Wanted) -> None:
    """Store the documents, all their cells, and the stages of all their runs."""
    for experiment in experiments:
        mine = [cell for cell in wanted.cells if cell.experiment is experiment]
        record_experiment(
            database,
            name=experiment.name,
            variant=experiment.variant,
            about=experiment.about,
            path=str(experiment.path),
            document=experiment.document,
            source=experiment.source,
            keyed_cells=[(cell.resolved.cell, cell.run.run_key) for cell in mine],
            wanted=[cell.run for cell in mine],
            chains={cell.run.run_key: wanted.chains[cell.run.run_key] for cell in mine},
            readings=wanted.readings,
            rerun=wanted.reruns,
        )

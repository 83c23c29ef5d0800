"""Experiments as a database holds them, with some of their cells: nothing of the spec is read.

Settings come from the recorded runs; tables, analyses and own metrics from the recorded document.
What was wrong with the spec was told when it was recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from runner.components.own_metric import metric_key
from runner.components.resolved import typed_metric, typed_settings
from runner.core.errors import SourcePosition, UsageError
from runner.core.run import Cell, ResolvedSettings
from runner.spec.analyses import parse_analyses
from runner.spec.cell_names import Given, cell_names
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment, recorded_tables
from runner.spec.metrics import ROOT as METRICS
from runner.spec.metrics import DeclaredMetric
from runner.spec.nodes import Node, to_node
from runner.store.database import Database
from runner.store.queries import StoredExperiment
from runner.store.stored_cells import StoredCell, stored_cells
from runner.store.stored_runs import RecordedRun, recorded_runs


def recorded_experiment(
    database: Database, stored: StoredExperiment, wanted: Collection[str]
) -> Experiment | None:
    """Return an experiment with those of its cells whose runs are wanted, None without one.

    Args:
        database: where it is recorded.
        stored: the experiment.
        wanted: keys of runs.

    Raises:
        UsageError: when own code of it is not allowed, or is other code than it was.
        ValidationError: when this version does not know a setting of it.
    """
    of_variant = [
        cell for cell in stored_cells(database, stored.name) if cell.variant == stored.variant
    ]
    mine = [cell for cell in of_variant if cell.run_key in wanted]
    if not mine:
        return None
    given: dict[int, Given] = {each.position: (each.labels, each.swept) for each in of_variant}
    names = cell_names(given)
    runs = recorded_runs(database, {str(cell.run_key) for cell in mine})
    tree = to_node(stored.document)
    return Experiment(
        name=stored.name,
        about=stored.about,
        path=Path(stored.path),
        source=stored.source,
        document=stored.document,
        variant=stored.variant,
        cells=tuple(
            _resolved(cell, names[cell.position], runs[str(cell.run_key)]) for cell in mine
        ),
        tables=recorded_tables(stored.document),
        metrics=_metrics(stored.document.get(METRICS, {})),
        analyses=parse_analyses(tree.get("analyses")),
    )


def _resolved(stored: StoredCell, name: str, run: RecordedRun) -> ResolvedCell:
    settings = ResolvedSettings(run.settings)
    typed = typed_settings(settings)
    cell = Cell(
        experiment=stored.experiment,
        position=stored.position,
        seed=stored.seed,
        labels=stored.labels,
        swept=stored.swept,
        published={},
        variant=stored.variant,
        settings=run.settings,
        settings_key=run.settings_key,
        name=name,
        fold=stored.fold,
    )
    # nothing of it stands in a file: problems of the data are told of the spec as a whole
    return ResolvedCell(cell, typed, Node({}, SourcePosition(stored.path, 0, 0)))


def _metrics(recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, DeclaredMetric]:
    found: dict[str, DeclaredMetric] = {}
    for name, each in recorded.items():
        settings = typed_metric(ResolvedSettings(each["settings"]))
        if metric_key(settings) != each["key"]:
            raise UsageError(f"the code of the metric {name} is not what it was")
        found[name] = DeclaredMetric(name, settings, metric_key(settings), None)
    return found

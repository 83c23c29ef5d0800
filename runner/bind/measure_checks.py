"""Checks measures with the data: one that needs more classes than there are is an error.

Owns this check alone. Whether a run records a metric at all is known without data, and checked with
the spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runner.bind.positions import written_node
from runner.components.measures import is_metric, measure_of
from runner.components.settings import monitors
from runner.core.errors import Problem

if TYPE_CHECKING:
    from runner.bind.bound_cell import BoundCell
    from runner.spec.experiment import Experiment
    from runner.spec.tables.column import Column

CLASSES = ("data.", "model.classes")
"""Beginnings of the settings that decide how many classes there are."""


def measure_problems(cells: Sequence[BoundCell]) -> Iterator[Problem]:
    """Yield the monitors and columns that ask for measures which say nothing on their data.

    A column is one that no cell can fill; where a sweep changes the data, it stands for the cells
    that can.
    """
    by_experiment: dict[int, list[BoundCell]] = {}
    for cell in cells:
        by_experiment.setdefault(id(cell.experiment), []).append(cell)
        yield from _monitor_problems(cell)
    for alike in by_experiment.values():
        counts = [count for cell in alike if (count := num_classes(cell)) is not None]
        varies = any(path.startswith(CLASSES) for cell in alike for path in cell.cell.swept)
        if counts and not varies:
            yield from _column_problems(alike[0].experiment, max(counts))


def num_classes(cell: BoundCell) -> int | None:
    """Return how many classes a cell's network tells apart, None where the data is not there."""
    if cell.resolved.settings.model.classes is not None:
        return cell.resolved.settings.model.classes
    return None if cell.source is None else len(cell.source.classes)


def _monitor_problems(cell: BoundCell) -> Iterator[Problem]:
    classes = num_classes(cell)
    for path, metric in monitors(cell.resolved.settings).items():
        least = measure_of(metric).least_classes
        if classes is not None and classes < least:
            found = f"{path} is {metric}, which needs at least {least} classes; there are {classes}"
            yield Problem(
                written_node(cell.resolved.tree, path).position, found, hint="take another metric"
            )


def _column_problems(experiment: Experiment, classes: int) -> Iterator[Problem]:
    for column in (each for table in experiment.tables for each in table.columns):
        for metric in metrics_in(column):
            least = measure_of(metric).least_classes
            if classes < least:
                needs = f"needs at least {least} classes; there are {classes}"
                found = f"column {column.title} shows {metric}, which {needs}"
                yield Problem(column.position, found, hint="take another metric")


def metrics_in(column: Column) -> Sequence[str]:
    """Return the metrics that a column shows, numbers of the whole run left out."""
    names = () if column.formula is None else column.formula.names
    return [name for name in names if is_metric(name)]

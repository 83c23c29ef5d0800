"""Own metrics held against the data before any work: tried once for each digest and settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from runner.artifacts.memory import LayoutCache
from runner.bind.measure_checks import num_classes
from runner.components.own.problems import OwnCodeFailed
from runner.core.errors import Problem
from runner.core.keys import content_key
from runner.spec.metrics import DeclaredMetric

if TYPE_CHECKING:
    from runner.bind.bound_cell import BoundCell


def own_metric_problems(cells: Iterable[BoundCell], known: LayoutCache) -> Iterator[Problem]:
    """Yield what is wrong with the own metrics of the cells' experiments.

    Args:
        cells: of any experiments; where data is not there, nothing is tried.
        known: what was tried before is not tried again.
    """
    tried = {
        (metric.key, outputs): metric
        for cell in cells
        if (outputs := num_classes(cell)) is not None
        for metric in cell.experiment.metrics.values()
    }
    for (key, outputs), metric in tried.items():
        remembered = content_key("own metric", [key, outputs])
        if known.get(remembered) is not None:
            continue
        try:
            _try(metric, outputs)
            known.put(remembered, True)
        except OwnCodeFailed as error:
            found = f"metric {metric.name}: {error.found}"
            yield Problem(metric.position, found, hint=error.hint)


def _try(metric: DeclaredMetric, outputs: int) -> None:
    from runner.engine.metric_probe import try_metric

    try_metric(metric.settings, outputs)

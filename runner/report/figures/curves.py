"""Data of curves: a cell's metrics by epoch or step, as mean and range over its seeds.

Reads it from the database and averages it. Draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from runner.core.reader import LAST
from runner.report.figures.figure_request import FigureRequest, ShownCell
from runner.store.cell_results import CellResult, epoch_metrics, step_losses
from runner.store.database import Database

Measure = Literal["loss", "accuracy"]

POINTS = 150
"""About as many points a curve of steps has, unless a window is asked for."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a figure: equally long x (epochs or steps, from 1), mean, least and greatest."""

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Best:
    """The epochs whose weights were kept: the mean over seeds of x and of the value there."""

    x: float
    value: float


@dataclass(frozen=True, slots=True)
class CellCurves:
    """What is drawn of one cell in one panel.

    Attributes:
        cell: the cell.
        lines: by metric; of the training loss by step, ``train_loss``.
        best: None where the last epoch is kept, or nothing is known of it.
        is_uneven: some seeds have fewer epochs than others.
    """

    cell: ShownCell
    lines: Mapping[str, Curve]
    best: Best | None
    is_uneven: bool


def over_seeds(series: Sequence[Mapping[int, float]]) -> Curve:
    """Return mean, minimum and maximum at each x over the finite values of the seeds."""
    values: dict[int, list[float]] = {}
    for each in series:
        for x, value in each.items():
            if math.isfinite(value):
                values.setdefault(x, []).append(value)
    points = sorted(values)
    return Curve(
        tuple(float(x) for x in points),
        tuple(fmean(values[x]) for x in points),
        tuple(min(values[x]) for x in points),
        tuple(max(values[x]) for x in points),
    )


def in_windows(losses: Iterable[float | None], window: int) -> dict[int, float]:
    """Return means of ``window`` consecutive steps, by the number of the last step, from 1.

    The last window may be shorter; a loss that is not finite is left out of its mean.
    """
    steps = list(losses)
    means: dict[int, float] = {}
    for start in range(0, len(steps), window):
        part = steps[start : start + window]
        finite = [loss for loss in part if loss is not None]
        if finite:
            means[start + len(part)] = fmean(finite)
    return means


@dataclass(frozen=True)
class _RunCurves:
    """One run's record: metrics by epoch, losses of the steps by epoch (none unless needed)."""

    result: CellResult
    metrics: Mapping[str, Mapping[int, float]]
    steps: Mapping[int, Sequence[float | None]]

    def x(self, epoch: int) -> int:
        """Return x at the end of an epoch: its number, or the number of steps so far."""
        if not self.steps:
            return epoch
        return sum(len(losses) for number, losses in self.steps.items() if number <= epoch)

    def series(self, metric: str, window: int) -> dict[int, float]:
        if self.steps and metric == "train_loss":
            losses = [loss for epoch in sorted(self.steps) for loss in self.steps[epoch]]
            return in_windows(losses, window)
        return {self.x(epoch): value for epoch, value in self.metrics.get(metric, {}).items()}


class CurveReader:
    """Reads the curves of a request's cells, each run once.

    Attributes:
        by_step: whether losses are by step.
        window: steps in a point of those.
        splits: what is drawn: training, validation and test, as far as there are.
    """

    def __init__(self, request: FigureRequest, measures: Sequence[Measure]) -> None:
        self.by_step = request.per == "step" and "loss" in measures
        assert request.database is not None
        self._runs = {
            result.run_key: self._read(request.database, result)
            for cell in request.cells
            for result in cell.drawn()
        }
        longest = max(
            (sum(map(len, each.steps.values())) for each in self._runs.values()), default=0
        )
        self.window = request.window or max(1, math.ceil(longest / POINTS))
        self.splits = self._splits(request.cells)

    def _read(self, database: Database, result: CellResult) -> _RunCurves:
        key, rerun = result.run_key, result.rerun
        steps = step_losses(database, key, rerun) if self.by_step else {}
        return _RunCurves(result, epoch_metrics(database, key, rerun), steps)

    def _splits(self, cells: Sequence[ShownCell]) -> tuple[str, ...]:
        """Return the splits to draw.

        The full evaluation of the training images stands for training where all cells have one, so
        that what is compared was measured alike. Test images are drawn where all epochs have them.
        """
        evaluated = all(cell.cell.settings["evaluate"]["train_eval"] == "full" for cell in cells)
        tested = any(cell.cell.settings["evaluate"]["test"] == "each_epoch" for cell in cells)
        return ("train_eval" if evaluated else "train", "val", *(["test"] if tested else []))

    def curves(self, cell: ShownCell, measure: Measure) -> CellCurves:
        """Return a cell's curves of the splits that it has."""
        runs = [self._runs[result.run_key] for result in cell.drawn()]
        steps = self.by_step and measure == "loss"
        if not steps:
            runs = [_RunCurves(run.result, run.metrics, {}) for run in runs]
        splits = ["train" if steps and name == "train_eval" else name for name in self.splits]
        if cell.cell.settings["evaluate"]["test"] != "each_epoch":
            splits = [split for split in splits if split != "test"]
        lines: dict[str, Curve] = {}
        for metric in (f"{split}_{measure}" for split in splits):
            curve = over_seeds([run.series(metric, self.window) for run in runs])
            if curve.x:
                lines[metric] = curve
        lengths = {run.result.last_epoch for run in runs}
        return CellCurves(cell, lines, _best(cell, runs, lines), len(lengths) > 1)


def _best(cell: ShownCell, runs: Sequence[_RunCurves], lines: Mapping[str, Curve]) -> Best | None:
    """Return the best epoch and its value of the validation curve, else of the training curve."""
    if cell.cell.settings["train"]["best"]["monitor"] == LAST or not lines:
        return None
    order = ("val", "test", "train_eval", "train")
    metric = min(lines, key=lambda name: order.index(name.rpartition("_")[0]))
    found: list[tuple[int, float]] = []
    for run in runs:
        epoch = run.result.best_epoch
        value = math.nan if epoch is None else run.metrics.get(metric, {}).get(epoch, math.nan)
        if epoch is not None and math.isfinite(value):
            found.append((run.x(epoch), value))
    if not found:
        return None
    return Best(fmean(x for x, _ in found), fmean(value for _, value in found))

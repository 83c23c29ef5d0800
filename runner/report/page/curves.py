"""Curves for a page: metrics of chosen cells by epoch, step or second, over their seeds.

A beginning that several cells share is one line, which forks where they branch. Long curves are
thinned, keeping the first and the last point and the extremes between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean
from typing import Any, Literal

from runner.report.figures.curves import over_seeds
from runner.store.database import Database
from runner.store.watched_numbers import branch_points, epoch_series

Axis = Literal["epoch", "step", "seconds"]

MOST_POINTS = 400
"""Points of one line: more than a screen tells apart."""


@dataclass(frozen=True)
class CurveCell:
    """A cell that is drawn: its name, and the runs of its seeds."""

    position: int
    name: str
    run_keys: tuple[str, ...]


def curve_lines(
    database: Database, cells: Sequence[CurveCell], metrics: Sequence[str], axis: Axis
) -> list[dict[str, Any]]:
    """Return a line for each cell and metric, as JSON values.

    Args:
        database: where the records are.
        cells: what is drawn.
        metrics: full names, as ``val_accuracy``; ``train_loss`` by step is that of each step.
        axis: what is drawn along x.

    Returns:
        Mappings with ``position``, ``name``, ``metric``, ``seeds`` (how many runs have it), and
        equally long lists ``x``, ``mean``, ``low`` and ``high``. With ``shared_with``, the first
        points are those of the line at that position up to ``shared_until`` (in x), and are left
        out but for the last of them.

    Raises:
        DamagedDatabase: when a record is not what it was.
    """
    keys = list(dict.fromkeys(key for cell in cells for key in cell.run_keys))
    series = epoch_series(database, keys)
    lines = []
    for metric in metrics:
        for cell in cells:
            found = [
                points for key in cell.run_keys if (points := _points(series[key], metric, axis))
            ]
            if found:
                lines.append(_line(cell, metric, found, axis))
    _share(lines, cells, branch_points(database, set(keys)), series, axis)
    for line in lines:
        _thin(line)
    return lines


def _points(series: Mapping[str, Any], metric: str, axis: Axis) -> dict[int, tuple[float, float]]:
    """Return (x, value) of a run by epoch, or by step of the training loss."""
    if axis == "step" and metric == "train_loss":
        losses = [loss for epoch in sorted(series["losses"]) for loss in series["losses"][epoch]]
        return {
            number: (float(number), loss)
            for number, loss in enumerate(losses, 1)
            if loss is not None and math.isfinite(loss)
        }
    values = series["metrics"].get(metric, {})
    places = _places(series, axis)
    return {
        epoch: (places[epoch], value)
        for epoch, value in values.items()
        if epoch in places and math.isfinite(value)
    }


def _places(series: Mapping[str, Any], axis: Axis) -> dict[int, float]:
    """Return x at the end of each epoch."""
    epochs = sorted(series["seconds"])
    if axis == "epoch":
        known = {epoch for values in series["metrics"].values() for epoch in values}
        return {epoch: float(epoch) for epoch in known}
    if axis == "step":
        sizes: list[float] = [len(series["losses"][epoch]) for epoch in epochs]
    else:
        sizes = [series["seconds"][epoch] for epoch in epochs]
    return dict(zip(epochs, accumulate(sizes), strict=True))


def _line(
    cell: CurveCell, metric: str, found: Sequence[Mapping[int, tuple[float, float]]], axis: Axis
) -> dict[str, Any]:
    curve = over_seeds([{at: value for at, (_, value) in each.items()} for each in found])
    xs: list[float] = []
    for at in map(int, curve.x):
        xs.append(fmean(each[at][0] for each in found if at in each))
    if axis == "seconds":
        xs = list(accumulate(xs, max))  # seeds with fewer epochs would bend the line back
    return {
        "position": cell.position,
        "name": cell.name,
        "metric": metric,
        "seeds": len(found),
        "at": [int(at) for at in curve.x],
        "x": xs,
        "mean": list(curve.mean),
        "low": list(curve.low),
        "high": list(curve.high),
    }


def _share(
    lines: Sequence[dict[str, Any]],
    cells: Sequence[CurveCell],
    chains: Mapping[str, Sequence[tuple[int, int]]],
    series: Mapping[str, Mapping[str, Any]],
    axis: Axis,
) -> None:
    """Leave out the epochs that a line has in common with one before it, of each seed."""
    by_position = {cell.position: cell for cell in cells}
    for number, line in enumerate(lines):
        best, until = None, 0
        for other in lines[:number]:
            if other["metric"] != line["metric"]:
                continue
            epoch = _common(by_position[line["position"]], by_position[other["position"]], chains)
            if epoch > until:
                best, until = other, epoch
        if best is None:
            continue
        if axis == "step" and line["metric"] == "train_loss":
            run = series[by_position[line["position"]].run_keys[0]]
            until = sum(len(run["losses"][each]) for each in run["losses"] if each <= until)
        start = sum(at <= until for at in line["at"]) - 1
        if start < 1:
            continue
        line["shared_with"] = best["position"]
        line["shared_until"] = line["x"][start]
        for name in ("at", "x", "mean", "low", "high"):
            line[name] = line[name][start:]


def _common(
    one: CurveCell, other: CurveCell, chains: Mapping[str, Sequence[tuple[int, int]]]
) -> int:
    """Return the last epoch that two cells have of the same attempts, in each of their seeds."""
    if len(one.run_keys) != len(other.run_keys):
        return 0
    found = []
    for first, second in zip(one.run_keys, other.run_keys, strict=True):
        epoch = 0
        for (attempt, end), (theirs, their_end) in zip(
            chains.get(first, ()), chains.get(second, ()), strict=False
        ):
            if attempt != theirs:
                break
            epoch = min(end, their_end)
            if end != their_end:
                break
        found.append(epoch)
    return min(found, default=0)


def _thin(line: dict[str, Any]) -> None:
    """Keep at most about ``MOST_POINTS`` points: of each part, those of its extremes."""
    del line["at"]
    count = len(line["x"])
    if count <= MOST_POINTS:
        return
    kept = {0, count - 1}
    parts = MOST_POINTS // 2
    for part in range(parts):
        low, high = part * count // parts, (part + 1) * count // parts
        inside = range(low, high)
        kept.add(min(inside, key=line["mean"].__getitem__))
        kept.add(max(inside, key=line["mean"].__getitem__))
    ordered = sorted(kept)
    for name in ("x", "mean", "low", "high"):
        line[name] = [line[name][index] for index in ordered]

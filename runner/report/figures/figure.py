"""The figures of curves over epochs, each a function of its name that ``kinds.py`` lists."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runner.core.errors import UsageError
from runner.report.figures.curves import CellCurves, CurveReader, Measure
from runner.report.figures.drawing import (
    MOST_LINES,
    cell_handles,
    cut_above,
    draw_cell,
    epoch_axis,
    key_handles,
    looks,
    spread_axis,
)
from runner.report.figures.figure_request import FigureRequest
from runner.report.figures.page import foot_legend, page, shorten, side_legend

MOST_CELLS = 60
"""Cells that one sheet takes."""

TITLE_WIDTH = 34
"""Characters above a panel of a sheet."""

BOTH: tuple[Measure, ...] = ("loss", "accuracy")


def loss(request: FigureRequest) -> Figure:
    """Draw the loss of each cell, training dotted and validation solid."""
    return _curves(request, ("loss",))


def accuracy(request: FigureRequest) -> Figure:
    """Draw the accuracy of each cell, training dotted and validation solid."""
    return _curves(request, ("accuracy",))


def curves(request: FigureRequest) -> Figure:
    """Draw loss and accuracy of each cell, side by side."""
    return _curves(request, BOTH)


def sheet(request: FigureRequest) -> Figure:
    """Draw loss above accuracy, in panels of its own for each cell."""
    return _panels(request, BOTH)


def _curves(request: FigureRequest, measures: Sequence[Measure]) -> Figure:
    """Draw all cells in one panel a measure; many cells each in panels of their own."""
    if len(request.cells) > MOST_LINES:
        return _panels(request, measures)
    found = looks(len(request.cells))
    has_side = len(found) > 1
    width = 5.0 * len(measures) + (2.2 if has_side else 1.0)
    figure = page(width, 4.4, request.title(_what(measures, request)))
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    reader = CurveReader(request, measures)
    drawn: list[CellCurves] = []
    for axes, measure in zip(panels, measures, strict=True):
        here = [reader.curves(cell, measure) for cell in request.cells]
        top = _top(here, measure)
        for each, look in zip(here, found, strict=True):
            draw_cell(axes, each, look, top)
        _finish_y([axes], here, measure, top)
        epoch_axis(axes, _is_by_step(measure, request))
        axes.set(xlabel=_x_label(measure, request), ylabel=request.axis_label(measure))
        drawn += here
    if has_side:
        names = [cell.counted_name() for cell in request.cells]
        side_legend(figure, cell_handles(names, found))
    foot_legend(figure, key_handles(drawn, has_side), _caption(drawn, reader))
    return figure


def _panels(request: FigureRequest, measures: Sequence[Measure]) -> Figure:
    """Draw each cell in panels of its own, one a measure, with shared axes."""
    count = len(request.cells)
    if count > MOST_CELLS:
        found = f"{count} cells; one sheet takes {MOST_CELLS}"
        raise UsageError(found, hint="choose some with --only")
    columns = min(count, 3 if count in (5, 6, 9) else 4)
    rows = -(-count // columns)
    titles = [
        shorten(cell.counted_name(), TITLE_WIDTH) if count > 1 else "" for cell in request.cells
    ]
    lines = 1 + max(title.count("\n") for title in titles)
    step_axes = 0.4 if request.per == "step" else 0.0
    height = (1.65 * len(measures) + 0.16 * lines + step_axes) * rows + 1.3
    width = max(6.0, 2.7 * columns + 0.6)
    figure = page(width, height, request.title(_what(measures, request)))
    grid = figure.subplots(rows * len(measures), columns, squeeze=False)
    reader = CurveReader(request, measures)
    drawn: list[CellCurves] = []
    for number, measure in enumerate(measures):
        panels = grid[number :: len(measures)].flatten()
        for spare in panels[count:]:
            spare.remove()
        here = [reader.curves(cell, measure) for cell in request.cells]
        _fill_panels(list(panels[:count]), here, measure, request)
        _label_panels(list(panels[:count]), columns, number == len(measures) - 1, measure, request)
        drawn += here
    for axes, title in zip(grid[:: len(measures)].flat, titles, strict=False):
        axes.set_title(title)
    foot_legend(figure, key_handles(drawn, False), _caption(drawn, reader))
    return figure


def _fill_panels(
    panels: Sequence[Axes], found: Sequence[CellCurves], measure: Measure, request: FigureRequest
) -> None:
    """Draw one cell in each panel, with the axes of the first."""
    for axes in panels[1:]:
        axes.sharex(panels[0])
        axes.sharey(panels[0])
    top = _top(found, measure)
    for axes, each in zip(panels, found, strict=True):
        draw_cell(axes, each, looks(1)[0], top)
        if not each.lines:
            axes.text(0.5, 0.5, "no epoch was finished", ha="center", transform=axes.transAxes)
    _finish_y(panels, found, measure, top)
    epoch_axis(panels[0], _is_by_step(measure, request))


def _label_panels(
    panels: Sequence[Axes], columns: int, is_lowest: bool, measure: Measure, request: FigureRequest
) -> None:
    """Label the panels at the left and those that have none below them."""
    for index, axes in enumerate(panels):
        is_left, is_last = index % columns == 0, index + columns >= len(panels)
        has_x = is_last and (is_lowest or _is_by_step(measure, request))
        axes.tick_params(labelleft=is_left, labelbottom=has_x, which="both")
        if is_left:
            axes.set_ylabel(request.axis_label(measure), fontsize=8)
        if has_x:
            axes.set_xlabel(_x_label(measure, request))


def _means(found: Sequence[CellCurves]) -> list[float]:
    return [value for each in found for line in each.lines.values() for value in line.mean]


def _top(found: Sequence[CellCurves], measure: Measure) -> float:
    """Return the upper limit of the y axis; inf unless a loss exploded."""
    lines = [line.mean for each in found for line in each.lines.values()]
    return cut_above(lines) if measure == "loss" else math.inf


def _finish_y(
    panels: Sequence[Axes], found: Sequence[CellCurves], measure: Measure, top: float
) -> None:
    """Scale a shared y axis: logarithmic for losses that span decades, 0 to 1 for accuracies."""
    if measure == "loss":
        spread_axis(panels, _means(found))
        if math.isfinite(top):
            lows = [low for each in found for line in each.lines.values() for low in line.low]
            panels[0].set_ylim(min((low for low in lows if low > 0), default=1.0) / 1.5, top)
    elif _means(found):
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(max(low, -0.02), min(high, 1.02))


def _is_by_step(measure: Measure, request: FigureRequest) -> bool:
    return measure == "loss" and request.per == "step"


def _x_label(measure: Measure, request: FigureRequest) -> str:
    return "step" if _is_by_step(measure, request) else "epoch"


def _what(measures: Sequence[Measure], request: FigureRequest) -> str:
    axes = {_x_label(each, request) for each in measures}
    if len(axes) == 1:
        return f"{' and '.join(measures)} per {axes.pop()}"
    return " and ".join(f"{each} per {_x_label(each, request)}" for each in measures)


def _caption(drawn: Sequence[CellCurves], reader: CurveReader) -> str:
    """Return the caption: how the lines were measured, averaged, and what they leave out."""
    parts = []
    counts = sorted({len(each.cell.drawn()) for each in drawn})
    if counts[-1] > 1:
        seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
        parts.append(f"lines: means over {seeds} {drawn[0].cell.repeated()}")
    if any(each.is_uneven for each in drawn):
        parts.append(
            f"where {drawn[0].cell.repeated()} stop at different epochs, over those that go on"
        )
    metrics = {metric for each in drawn for metric in each.lines}
    if reader.by_step and "train_loss" in metrics:
        window = "every step" if reader.window == 1 else f"mean of each {reader.window} steps"
        parts.append(f"train loss: {window}")
        metrics.discard("train_loss")
    if running := metrics & {"train_loss", "train_accuracy"}:
        what = "train" if len(running) > 1 else running.pop().replace("_", " ")
        parts.append(f"{what}: mean over the epoch's batches, while the weights change")
    if any(metric.startswith("train_eval") for metric in metrics):
        parts.append("train: all images evaluated after the epoch")
    losses = [each for each in drawn if any(metric.endswith("loss") for metric in each.lines)]
    if math.isfinite(top := _top(losses, "loss")):
        greatest = max(_means(losses))
        parts.append(f"losses above {top:,g} are cut off (the greatest is {greatest:.1e})")
    return "; ".join(parts)

"""Accuracy or loss against the severity of what is done to the images: a line for each transform.

The numbers are those of tables: means and deviations over draws, seeds and folds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from runner.components.analyses.analysis import AnalysisSettings, Place
from runner.components.analyses.robustness import Robustness
from runner.core.records import AnalysisValue
from runner.report.figures.drawing import COLORS, MARKERS
from runner.report.figures.figure_request import FigureRequest, Measured
from runner.report.figures.page import foot_legend, page, shorten, side_legend
from runner.report.tables.table import TableValue

MOST_CELLS = 24
LINES: tuple[Any, ...] = ("solid", (0, (4, 1.5)), (0, (1, 1.2)))
"""Beyond as many transforms as there are colours, the next of these goes with each."""

UNCHANGED = 0
"""The severity of the images as they are."""

NAME_WIDTH = 24
SEVERITY_WORDS = "severity (0: the images as they are)"
TRANSFORM, SEVERITY = "transform", "severity"


@dataclass(frozen=True, slots=True)
class _Line:
    """One transform: severities, from that of the images as they are, and a value at each."""

    label: str
    severities: tuple[int, ...]
    values: tuple[TableValue, ...]


def measure(
    places: Sequence[Place], metrics: Sequence[str], runs: Sequence[Sequence[AnalysisValue]]
) -> Measured:
    """Return the numbers of a cell at each place, as tables have them.

    Args:
        places: of the analysis, each with a transform and a severity.
        metrics: which of its values.
        runs: what it found of each run of the cell, draws one by one.

    Returns:
        The mean over the runs of their means, the deviation of all draws from that, and the count
        of runs; entries without a number where it was made of none.
    """
    gathered: list[dict[tuple[str, object, object], list[float]]] = []
    for run in runs:
        gathered.append({})
        for each in run:
            at = (each.name, each.dims.get(TRANSFORM), each.dims.get(SEVERITY))
            gathered[-1].setdefault(at, []).append(each.value)
    found: dict[str, dict[str, dict[int, TableValue]]] = {}
    for metric in metrics:
        of_metric = found.setdefault(metric, {})
        for place in places:
            where = (metric, place[TRANSFORM], place[SEVERITY])
            draws = [of_run[where] for of_run in gathered if where in of_run]
            label, severity = str(place[TRANSFORM]), int(place[SEVERITY])
            of_metric.setdefault(label, {})[severity] = _averaged(draws)
    return found


def _averaged(draws: Sequence[Sequence[float]]) -> TableValue:
    if not draws:
        return TableValue(None)
    mean, every = fmean(map(fmean, draws)), [value for run in draws for value in run]
    squares = math.fsum((value - mean) ** 2 for value in every)
    deviation = math.sqrt(squares / (len(every) - 1)) if len(every) > 1 else None
    return TableValue(mean, deviation, len(draws))


def robustness(request: FigureRequest) -> Figure:
    """Draw a row of panels for each cell, one a metric; or points, where severities are no scale.

    Where every transform has one severity, transforms stand side by side.
    """
    assert request.analysis is not None
    cells = request.cells
    metrics = list(request.measured[cells[0].position])
    most = max(len(cell.drawn()) for cell in cells)
    return changed_images(
        request.title(f"{' and '.join(metrics)} of changed images{request.said}"),
        [(cell.counted_name(), request.measured[cell.position]) for cell in cells],
        request.axis_label,
        request.analysis.settings,
        f"{most} {cells[0].repeated()}" if most > 1 else "",
    )


def of_run(
    title: str, settings: AnalysisSettings, values: Sequence[AnalysisValue]
) -> dict[str, Figure]:
    """Draw the accuracy of one run.

    Args:
        title: of the figure.
        settings: of the analysis.
        values: what it found.
    """
    measured = measure(settings.places() or (), ("accuracy",), [values])
    title = f"{title}: accuracy of changed images"
    return {"": changed_images(title, [("", measured)], lambda _: "accuracy (fraction)", settings)}


def changed_images(
    title: str,
    cells: Sequence[tuple[str, Measured]],
    axis_label: Callable[[str], str],
    settings: AnalysisSettings,
    runs: str = "",
) -> Figure:
    """Draw the numbers of cells; see :func:`robustness`.

    Args:
        title: of the figure.
        cells: name and numbers of each, all with the same metrics and places.
        axis_label: of a metric.
        settings: of the analysis.
        runs: over what the means are, as ``3 seeds``; "" of a single run.
    """
    shown = [
        (name, {metric: _lines(each) for metric, each in measured.items()})
        for name, measured in cells
    ]
    metrics = list(shown[0][1])
    lines = shown[0][1][metrics[0]]
    is_scale = any(len(line.severities) > 2 for line in lines)
    columns = len(metrics) if len(metrics) > 1 else min(len(cells), 3)
    rows = -(-len(cells) * len(metrics) // columns)
    has_side = is_scale and len(lines) > 1
    figure = page(
        max(6.0, 3.6 * columns + (2.2 if has_side else 0.6)),
        (2.6 + (0.0 if is_scale else 0.7)) * rows + 1.2,
        title,
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=_shared(metrics))
    panels = [(name, metric, of_cell[metric]) for name, of_cell in shown for metric in metrics]
    for number, (axes, (name, metric, drawn)) in enumerate(zip(grid.flat, panels, strict=False)):
        if is_scale:
            _draw_severities(axes, drawn)
        else:
            _draw_transforms(axes, drawn)
        axes.set_ylabel(axis_label(metric))
        if len(cells) > 1:
            axes.set_title(shorten(name, 40))
        if number + columns >= len(panels):  # none is below
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(SEVERITY_WORDS if is_scale else "transform")
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    if has_side:
        side_legend(
            figure,
            [
                (_handle(number), shorten(line.label, NAME_WIDTH))
                for number, line in enumerate(lines)
            ],
        )
    every = [line for _, of_cell in shown for lines in of_cell.values() for line in lines]
    foot_legend(figure, [], "; ".join(_caption(settings, runs, every, is_scale)))
    return figure


def _shared(metrics: Sequence[str]) -> Literal["all", "col"]:
    """Return which panels have one y axis: all of a metric."""
    return "all" if len(metrics) == 1 else "col"


def _lines(measured: Mapping[str, Mapping[int, TableValue]]) -> list[_Line]:
    """Return the transforms of a cell; each begins with the images as they are."""
    (_, first), *others = measured.items()
    return [
        _Line(label, (UNCHANGED, *values), (first[UNCHANGED], *values.values()))
        for label, values in others
    ]


def _draw_severities(axes: Axes, lines: Sequence[_Line]) -> None:
    for number, line in enumerate(lines):
        color, marker, style = _look(number)
        _draw(axes, line.severities, line.values, line.label, color, marker, style)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.margins(x=0.05)


def _draw_transforms(axes: Axes, lines: Sequence[_Line]) -> None:
    """Draw a point for each transform, and a dotted line at the images as they are."""
    values = [lines[0].values[0], *(line.values[1] for line in lines)]
    names = ["unchanged", *(line.label for line in lines)]
    _draw(axes, range(len(values)), values, "transforms", COLORS[0], MARKERS[0], "none")
    if (unchanged := values[0].value) is not None:
        axes.axhline(unchanged, color="0.5", linestyle=(0, (1, 2)), linewidth=1.0)
    labels = [shorten(name, NAME_WIDTH) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(names) - 0.4)


def _draw(
    axes: Axes,
    x: Sequence[int],
    values: Sequence[TableValue],
    label: str,
    color: str,
    marker: str,
    style: Any,
) -> None:
    deviations = [entry.std or 0.0 for entry in values]
    drawn = axes.errorbar(
        list(x),
        [math.nan if entry.value is None else entry.value for entry in values],
        yerr=deviations if any(deviations) else None,
        color=color,
        marker=marker,
        linestyle=style,
        capsize=2.5,
        elinewidth=0.9,
    )
    drawn.lines[0].set_label(label)


def _look(number: int) -> tuple[str, str, Any]:
    count = len(COLORS)
    return COLORS[number % count], MARKERS[number % count], LINES[number // count % len(LINES)]


def _handle(number: int) -> Artist:
    color, marker, style = _look(number)
    return Line2D([], [], color=color, marker=marker, linestyle=style)


def _caption(
    settings: AnalysisSettings, runs: str, lines: Sequence[_Line], is_scale: bool
) -> Iterator[str]:
    """Yield what was evaluated, and what means are over."""
    yield f"{settings.looks_at()} images, weights of the {settings.weights} epoch"
    if not is_scale:
        yield "dotted: the images as they are"
    if isinstance(settings, Robustness) and settings.is_corrupting():
        yield "corruptions are generated, not the official CIFAR-10-C"
    draws = getattr(settings, "draws", 1)
    over = [f"{draws} draws"] if draws > 1 else []
    over += [runs] if runs else []
    values = (value for line in lines for value in line.values)
    if over and any(value.std is not None for value in values):
        yield f"mean ± sample standard deviation over {' and '.join(over)}"

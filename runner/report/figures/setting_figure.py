"""Metrics against a setting, as a dropout rate: one line for each combination of other settings.

Groups cells into lines and draws them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.components.measures import is_metric, metric_parts
from runner.core.errors import UsageError
from runner.report.figures.axis_titles import metric_name, unit, x_name, x_words
from runner.report.figures.drawing import (
    DIVERGED_WORDS,
    MOST_LINES,
    SPLIT_LINES,
    Look,
    cell_handles,
    cross,
    looks,
)
from runner.report.figures.figure_request import FigureRequest, ShownCell
from runner.report.figures.page import foot_legend, page, shorten, side_legend
from runner.report.figures.scale import Scale, is_number
from runner.report.tables.query import query_table
from runner.report.tables.table import Row
from runner.spec.names import short_name
from runner.spec.nodes import KIND_KEYS, as_yaml
from runner.spec.tables.column import Column
from runner.spec.tables.pivot_checks import column_value

MOST_ROWS = 24
"""Lines of one figure; more than ``MOST_LINES`` have a row each."""

AT_WORDS = {
    "best": "at the best epoch",
    "last": "at the last epoch",
    "min": "the least over all epochs",
    "max": "the greatest over all epochs",
}


@dataclass(frozen=True)
class Point:
    """A cell's value on the x axis, and its row of metrics."""

    x: Any
    cell: ShownCell
    row: Row


def setting(request: FigureRequest) -> Figure:
    """Draw metrics against a setting: a panel for each unit, a style for each line."""
    assert request.x is not None
    assert request.table is not None
    lines = _lines(request, request.x)
    if len(lines) > MOST_ROWS:
        found = f"{len(lines)} lines; a figure over a setting takes {MOST_ROWS}"
        raise UsageError(found, hint="choose some cells with --only")
    rows = [list(lines)] if len(lines) <= MOST_LINES else [[name] for name in lines]
    panels = _by_unit(request)
    scale = Scale.of([point.x for line in lines.values() for point in line])
    has_side = len(rows) == 1 and len(lines) > 1
    width = max(6.0, 4.6 * len(panels) + (2.2 if has_side else 0.6))
    figure = page(
        width, (3.4 if len(rows) == 1 else 2.8) * len(rows) + 1.2, _title(request, request.x)
    )
    grid = figure.subplots(len(rows), len(panels), squeeze=False, sharex=True, sharey="col")
    for names, along in zip(rows, grid, strict=True):
        for axes, (words, columns) in zip(along, panels.items(), strict=True):
            for name, look in zip(names, looks(len(names)), strict=True):
                for number, column in enumerate(columns):
                    shift = _shift(look.number, number, len(names), len(columns))
                    _draw_line(axes, scale, lines[name], column, look, shift)
            scale.finish(axes)
            axes.set_ylabel(shorten(words, 30))
            if len(rows) > 1:
                axes.set_title(shorten(names[0], 40))
    for axes in grid[-1]:
        axes.set_xlabel(shorten(x_words(request.x), 50))
    if has_side:
        has_lines = not scale.is_categorical
        side_legend(figure, cell_handles(list(lines), looks(len(lines)), has_lines))
    caption = "; ".join([*_measured(lines, request.table.columns), *_also(lines, request.x)])
    foot_legend(figure, _key(panels, lines, scale), caption)
    return figure


def _shift(line: int, column: int, num_lines: int, num_columns: int) -> float:
    """Return the offset of a point from its category, so that points do not cover each other."""
    count = num_lines * num_columns
    return (line * num_columns + column - (count - 1) / 2) * min(0.12, 0.7 / count)


def _lines(request: FigureRequest, x: Column) -> dict[str, list[Point]]:
    """Return the points of each line by name, sorted by x where x is a number."""
    assert request.table is not None
    assert request.database is not None
    runs = {result.run_key for cell in request.cells for result in cell.results}
    filled = query_table(request.database, request.table, request.experiment, request.variant, runs)
    rows = {row.position: row for row in filled.rows}
    points = [
        Point(column_value(x, cell.cell), cell, rows[cell.position]) for cell in request.cells
    ]
    for name_of in (lambda _: "", _other_settings(x), _labels_too(x), lambda cell: cell.name):
        lines: dict[str, list[Point]] = {}
        for point in points:
            lines.setdefault(name_of(point.cell), []).append(point)
        if all(len({point.x for point in line}) == len(line) for line in lines.values()):
            break
    for line in lines.values():
        if all(is_number(point.x) for point in line):
            line.sort(key=lambda point: point.x)
    return lines


def _draw_line(
    axes: Axes, scale: Scale, line: Sequence[Point], column: Column, look: Look, shift: float
) -> None:
    """Draw one metric of one line; bars are standard deviations over seeds."""
    hollow = metric_name(column).startswith("train")
    marker = look.marker or "o"
    found = [point.row.entries[column.title] for point in line]
    xs = [scale.x_of(point.x, shift) for point in line]
    deviations = [entry.std or 0.0 for entry in found]
    drawn = axes.errorbar(
        xs,
        [math.nan if entry.value is None else entry.value for entry in found],
        yerr=deviations if any(deviations) else None,
        color=look.color,
        linestyle="none" if scale.is_categorical else _linestyle(column),
        marker=marker,
        markerfacecolor="white" if hollow else look.color,
        capsize=2.5,
        elinewidth=0.9,
    )
    drawn.lines[0].set_label(f"{line[0].cell.name}: {column.title}")
    for x, point in zip(xs, line, strict=True):
        if point.cell.has_diverged():
            across = axes.get_xaxis_transform()
            axes.plot([x], [0.04], label=DIVERGED_WORDS, transform=across, **cross(look.color))


def _key(
    panels: Mapping[str, Sequence[Column]], lines: Mapping[str, Sequence[Point]], scale: Scale
) -> list[tuple[Artist, str]]:
    """Return legend entries; a metric alone in its panel is named on the axis instead."""
    has_lines = not scale.is_categorical
    entries: list[tuple[Artist, str]] = []
    for column in (each for columns in panels.values() if len(columns) > 1 for each in columns):
        linestyle = _linestyle(column) if has_lines else "none"
        face = "white" if metric_name(column).startswith("train") else "0.2"
        look = Line2D([], [], color="0.2", ls=linestyle, marker="o", markerfacecolor=face)
        entries.append((look, shorten(column.title)))
    if any(point.cell.has_diverged() for line in lines.values() for point in line):
        entries.append((Line2D([], [], **cross("0.2")), DIVERGED_WORDS))
    return entries


def _measured(lines: Mapping[str, Sequence[Point]], columns: Sequence[Column]) -> Iterator[str]:
    """Yield caption parts: which epoch the numbers are of, and what they average."""
    metrics = [column for column in columns if column.is_metric]
    at = str(metrics[0].at)
    yield AT_WORDS.get(at, f"at epoch {at}")
    counts = {
        point.row.entries[column.title].count
        for line in lines.values()
        for point in line
        for column in metrics
    }
    several = sorted(counts - {0})
    if several and several[-1] > 1:
        seeds = f"{several[0]} to {several[-1]}" if len(several) > 1 else str(several[0])
        (kind, *_) = (point.cell.repeated() for line in lines.values() for point in line)
        yield f"mean ± sample standard deviation over {seeds} {kind}"


def _also(lines: Mapping[str, Sequence[Point]], x: Column) -> Iterator[str]:
    """Yield other settings that differ along a line."""
    if x.is_label:
        return
    differing: dict[str, None] = {}
    for line in lines.values():
        for path in dict.fromkeys(path for point in line for path in point.cell.cell.swept):
            values = {_other_value(point.cell, path, x) for point in line}
            if len(values) > 1:
                differing[short_name(path)] = None
    if differing:
        yield f"along a line, cells also differ in {', '.join(differing)}"


def _title(request: FigureRequest, x: Column) -> str:
    assert request.table is not None
    metrics = [column.title for column in request.table.columns if column.is_metric]
    return request.title(f"{', '.join(metrics)} against {x_name(x)}")


def _other_settings(x: Column) -> Callable[[ShownCell], str]:
    """Return a function that names a cell by its swept settings other than x."""

    def name(cell: ShownCell) -> str:
        values = {path: _other_value(cell, path, x) for path in cell.cell.swept}
        return " ".join(f"{short_name(path)}={text}" for path, text in values.items() if text)

    return name


def _other_value(cell: ShownCell, path: str, x: Column) -> str:
    """Return a swept setting as a spec writes it, without the part on the x axis, or ""."""
    if (x.is_setting and path == x.source) or path not in cell.cell.swept:
        return ""
    value = cell.cell.swept[path]
    if x.is_setting and x.source.startswith(f"{path}.") and isinstance(value, Mapping):
        value = next((value[key] for key in KIND_KEYS if key in value), None)
        return "" if value is None else as_yaml(value)
    return as_yaml(value)


def _labels_too(x: Column) -> Callable[[ShownCell], str]:
    others = _other_settings(x)

    def name(cell: ShownCell) -> str:
        labels = [
            text
            for label, text in cell.cell.labels.items()
            if x.kind != "label" or label != x.source
        ]
        return ", ".join(labels) or others(cell)

    return name


def _by_unit(request: FigureRequest) -> dict[str, list[Column]]:
    """Return metric columns by the label of the y axis that they share."""
    assert request.table is not None
    panels: dict[str, list[Column]] = {}
    for column in request.table.columns:
        if column.is_metric:
            panels.setdefault(unit(column, request), []).append(column)
    return panels


def _linestyle(column: Column) -> Any:
    name = metric_name(column)
    return SPLIT_LINES[metric_parts(name)[0]] if is_metric(name) else "solid"

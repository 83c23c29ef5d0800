"""Styles of curves: lines, bands, markers and their legend entries.

Styles differ without colour too. Knows curves, not where they come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from runner.report.figures.curves import Best, CellCurves, Curve
from runner.report.figures.page import shorten

MOST_LINES = 8
"""Cells that one panel tells apart."""

COLORS = (
    "#000000",
    "#d55e00",
    "#0072b2",
    "#cc79a7",
    "#009e73",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
SPLIT_LINES = {
    "train": (0, (1, 1.4)),
    "train_eval": (0, (1, 1.4)),
    "val": "solid",
    "test": (0, (5, 1.8)),
}
SPLIT_WORDS = {"train": "train", "train_eval": "train", "val": "validation", "test": "test"}
MOST_DOTS = 100
"""Lines of more points are drawn thinner."""

EXPLOSION = 1000.0
"""Losses this many times the median, and the first of every line, are cut off."""

BEST_LINE = (0, (1, 2.6))
BEST_WORDS = "best epoch"
DIVERGED_WORDS = "diverged"


@dataclass(frozen=True, slots=True)
class Look:
    """The style of one cell's lines.

    Attributes:
        color: of lines and markers.
        marker: None where a panel has one cell.
        number: which of the cells it is, from 0, so that markers of several do not coincide.
    """

    color: str = COLORS[0]
    marker: str | None = None
    number: int = 0


def looks(count: int) -> list[Look]:
    """Return styles for up to ``MOST_LINES`` cells of one panel."""
    if count == 1:
        return [Look()]
    return [Look(COLORS[number], MARKERS[number], number) for number in range(count)]


def draw_cell(axes: Axes, curves: CellCurves, look: Look, top: float = math.inf) -> None:
    """Draw a cell's lines and bands, its best epoch, and a cross where it diverged.

    Args:
        axes: the panel.
        curves: what is drawn.
        look: how.
        top: upper limit of the y axis.
    """
    for metric, curve in curves.lines.items():
        split = metric.rpartition("_")[0]
        is_train = split.startswith("train")
        line = draw_curve(axes, curve, look, SPLIT_LINES[split], hollow=is_train)
        line.set_label(f"{curves.cell.name}: {metric}")
        if curves.cell.has_diverged():
            end = [min(curve.mean[-1], top)]
            axes.plot(curve.x[-1:], end, label=DIVERGED_WORDS, **cross(look.color))
    if curves.best is not None:
        draw_best(axes, curves.best, look)


def draw_curve(axes: Axes, curve: Curve, look: Look, linestyle: object, hollow: bool) -> Line2D:
    """Draw the mean with a few markers, and the range over seeds, if there are several."""
    count = len(curve.x)
    every = max(1, count // 8)
    marked = sorted({*range(look.number % every, count, every), count - 1})
    marker = look.marker or ("o" if count == 1 else None)
    (line,) = axes.plot(
        curve.x,
        curve.mean,
        color=look.color,
        linestyle=linestyle,
        linewidth=1.4 if count <= MOST_DOTS else 0.9,
        marker=marker,
        markevery=marked,
        markerfacecolor="white" if hollow else look.color,
        # of lines that coincide, the one that ends first is drawn last
        zorder=2 + 1 / (1 + curve.x[-1]),
    )
    if curve.low != curve.high:
        axes.fill_between(curve.x, curve.low, curve.high, color=look.color, alpha=0.15, lw=0)
    return line


def draw_best(axes: Axes, best: Best, look: Look) -> None:
    """Draw a dotted vertical line at the best epoch, and a ring at the value there."""
    axes.axvline(best.x, color=look.color, linestyle=BEST_LINE, linewidth=1.0, label=BEST_WORDS)
    axes.plot(
        [best.x],
        [best.value],
        color=look.color,
        marker=look.marker or "o",
        markersize=8.5,
        markerfacecolor="none",
        markeredgewidth=1.4,
        linestyle="none",
        zorder=4,
        label=BEST_WORDS,
    )


def cross(color: str) -> dict[str, Any]:
    """Return the style of the marker of a diverged run."""
    return {
        "marker": "x",
        "color": color,
        "linestyle": "none",
        "markersize": 9,
        "markeredgewidth": 2.2,
        "clip_on": False,
        "zorder": 5,
    }


def cut_above(lines: Sequence[Sequence[float]]) -> float:
    """Return a limit for a loss axis that keeps the rest legible if losses explode, or inf.

    High losses at the start of a training do not count as an explosion.

    Args:
        lines: finite losses, 0 or more, of each line in order.
    """
    values = [value for line in lines for value in line]
    if not values:
        return math.inf
    limit = EXPLOSION * max(median(values), *(line[0] for line in lines if line))
    if limit <= 0 or max(values) <= limit:
        return math.inf
    top = 10 ** math.ceil(math.log10(limit))
    return math.inf if top >= max(values) else float(top)


def epoch_axis(axes: Axes, by_step: bool) -> None:
    """Put ticks at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.margins(x=0.03)
    if by_step:
        axes.ticklabel_format(axis="x", style="plain")


def spread_axis(axes: Sequence[Axes], values: Sequence[float], limit: float = 100.0) -> bool:
    """Make a y axis logarithmic if its values span decades; return whether it is."""
    positive = [value for value in values if value > 0]
    if not positive or max(positive) / min(positive) < limit or min(values) < 0:
        return False
    for each in axes:
        each.set_yscale("log")
    return True


def cell_handles(
    names: Sequence[str], found: Sequence[Look], has_lines: bool = True
) -> list[tuple[Artist, str]]:
    """Return legend entries for cells."""
    linestyle = "solid" if has_lines else "none"
    return [
        (Line2D([], [], color=look.color, ls=linestyle, marker=look.marker), shorten(name, 28, 4))
        for name, look in zip(names, found, strict=True)
    ]


def key_handles(curves: Sequence[CellCurves], has_markers: bool) -> list[tuple[Artist, str]]:
    """Return legend entries for the meaning of lines, bands and markers."""
    metrics = [metric for each in curves for metric in each.lines]
    splits = {SPLIT_WORDS[split]: split for split in (m.rpartition("_")[0] for m in metrics)}
    marker = "o" if has_markers else None
    entries: list[tuple[Artist, str]] = []
    for words in dict.fromkeys(SPLIT_WORDS.values()):
        if words not in splits:
            continue
        face = "white" if words == "train" else "0.2"
        linestyle = SPLIT_LINES[splits[words]]
        line = Line2D([], [], color="0.2", ls=linestyle, marker=marker, markerfacecolor=face)
        entries.append((line, words))
    seeds = max((len(each.cell.drawn()) for each in curves), default=1)
    kind = curves[0].cell.repeated() if curves else "seeds"
    if any(each.best is not None for each in curves):
        words = BEST_WORDS + (f", mean over {kind}" if seeds > 1 else "")
        best = Line2D([], [], color="0.2", ls=BEST_LINE, marker="o", markersize=8.5)
        best.set_markerfacecolor("none")
        entries.append((best, words))
    if any(each.cell.has_diverged() for each in curves):
        entries.append((Line2D([], [], **cross("0.2")), DIVERGED_WORDS))
    if seeds > 1:
        entries.append(
            (
                Patch(facecolor="0.2", alpha=0.25, lw=0),
                f"least to greatest {kind.removesuffix('s')}",
            )
        )
    return entries

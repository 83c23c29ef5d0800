"""The figures of `embedding`: images as points, by class, or beside those nearest to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D

from runner.report.figures.page import foot_legend, page, shorten, side_legend
from runner.report.figures.pictures import SIDE, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_COLORS = 20
"""Classes that have a colour of their own; those with most images, the others are gray."""

MARKERS = "oosD^v"
NAME_WIDTH = 18


def embedding(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    """Return the map.

    Args:
        title: begins those of the figures.
        arrays: that the analysis left.
    """
    method = "PCA" if len(arrays["explained"]) else "t-SNE"
    caption = f"{method} of {arrays['layer'][0]}, {len(arrays['points'])} images"
    figure = points_of_classes(
        f"{title}: embedding",
        arrays["points"],
        arrays["labels"].tolist(),
        arrays["class_names"].tolist(),
        caption,
        arrays["explained"].tolist(),
    )
    return {"": figure}


def points_of_classes(
    title: str,
    points: NDArray[Any],
    labels: Sequence[int],
    classes: Sequence[str],
    caption: str,
    explained: Sequence[float] = (),
) -> Figure:
    """Draw a point for each image, coloured by its class.

    Args:
        title: above all.
        points: (N, 2).
        labels: class index of each.
        classes: their names.
        caption: what the points are made of, and how.
        explained: share of the variance along each axis; () where axes mean nothing.
    """
    counts = np.bincount(np.asarray(labels), minlength=len(classes))
    order = [int(each) for each in np.argsort(-counts, kind="stable") if counts[each]]
    named, others = sorted(order[:MOST_COLORS]), order[MOST_COLORS:]
    figure = page(7.4, 5.4, title)
    axes = figure.subplots()
    owner = np.asarray(labels)
    if others:
        rest = points[np.isin(owner, others)]
        axes.plot(rest[:, 0], rest[:, 1], ".", color="0.75", markersize=3, zorder=1)
    entries: list[tuple[Line2D, str]] = []
    colors = mpl.colormaps["tab10" if len(named) <= 10 else "tab20"]
    for number, label in enumerate(named):
        own = points[owner == label]
        marker, color = MARKERS[number % len(MARKERS)], colors(number)
        axes.plot(own[:, 0], own[:, 1], marker, color=color, markersize=3.6, alpha=0.75)
        handle = Line2D([], [], linestyle="", marker=marker, color=color, markersize=5)
        entries.append((handle, shorten(classes[label], NAME_WIDTH)))
    if others:
        gray = Line2D([], [], linestyle="", marker=".", color="0.75", markersize=5)
        entries.append((gray, f"{len(others)} other classes"))
    if explained:
        axes.set_xlabel(f"first component, {explained[0]:.0%} of the variance")
        axes.set_ylabel(f"second component, {explained[1]:.0%} of the variance")
    else:
        axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    side_legend(figure, entries)
    foot_legend(figure, [], caption)
    return figure


def neighbours(
    title: str,
    images: NDArray[Any],
    names: Sequence[str],
    nearest: NDArray[Any],
    near_names: Sequence[Sequence[str]],
    caption: str,
) -> Figure:
    """Draw images, each with those nearest to it beside it, the nearest first.

    Args:
        title: above all.
        images: (N, H, W, C) uint8.
        names: of their classes.
        nearest: (N, K, H, W, C) uint8.
        near_names: of the classes of those, and how far they are.
        caption: how near was measured.
    """
    rows, columns = len(images), 1 + nearest.shape[1]
    figure = page(max(5.0, SIDE * columns + 0.4), (SIDE + 0.35) * rows + 1.0, title)
    grid = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        show(grid[row][0], images[row], names[row])
        grid[row][0].spines[:].set_visible(True)
        for axes, picture, name in zip(grid[row][1:], nearest[row], near_names[row], strict=True):
            show(axes, picture, name)
    foot_legend(figure, [], caption)
    return figure

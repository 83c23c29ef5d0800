"""Predictions as pictures: the confusion matrix, and sheets of images with what is said of them.

Given arrays and names; draws only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.report.figures.page import foot_legend, page, shorten
from runner.report.figures.pictures import SIDE, show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_COUNTED = 20
"""Classes of which each square has its number in it; of more, colours alone."""

MOST_NAMED = 60
"""Classes that have their names beside the matrix."""

COLUMNS = 6
"""Images beside each other in a sheet."""

NAME_WIDTH = 16
TITLE_WIDTH = 20


def confusion(title: str, matrix: NDArray[Any], classes: Sequence[str], caption: str) -> Figure:
    """Draw how many images of each class (rows) are predicted as each class (columns).

    A square is as dark as its share of the images of its class; its number is a count.

    Args:
        title: above all.
        matrix: (classes, classes), counts.
        classes: their names.
        caption: of which images and weights.
    """
    count = len(matrix)
    counts = np.asarray(matrix, dtype=float)
    sizes = counts.sum(1, keepdims=True)
    shares = np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 0)
    side = min(max(4.6, 1.9 + 0.42 * min(count, MOST_COUNTED)), 10.5)
    figure = page(side + 0.9, side, title)
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.grid(visible=False)
    axes.set(xlabel="predicted class", ylabel="class")
    _name_classes(axes, classes, count)
    if count <= MOST_COUNTED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.5 else "0.2"
            text = f"{int(counts[row, column])}"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=7.5)
    bar = figure.colorbar(drawn, ax=axes, fraction=0.045)
    bar.set_label("share of the images of the class")
    right = float(np.trace(counts)) / max(1.0, float(counts.sum()))
    foot_legend(figure, [], f"{caption}; {right:.1%} of {int(counts.sum())} images on the diagonal")
    return figure


def _name_classes(axes: Axes, classes: Sequence[str], count: int) -> None:
    if count > MOST_NAMED:
        axes.set(xticks=[], yticks=[])
        return
    names = [shorten(name, NAME_WIDTH, 1) for name in classes]
    size = 8 if count <= 30 else 6
    turned = max(len(name) for name in names) > 2
    axes.set_xticks(range(count), names, rotation=90 if turned else 0, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)


def sheet(title: str, images: NDArray[Any], words: Sequence[str], caption: str) -> Figure:
    """Draw images in rows, each with what is said of it below.

    Args:
        title: above all.
        images: (N, H, W, C) uint8.
        words: of each.
        caption: of which images and weights.
    """
    columns = min(len(images), COLUMNS)
    rows = math.ceil(len(images) / columns)
    texts = [shorten(each, TITLE_WIDTH, 4) for each in words]
    lines = max(text.count("\n") + 1 for text in texts)
    figure = page(max(5.0, SIDE * columns + 0.4), (SIDE + 0.17 * lines) * rows + 1.0, title)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, image, text in zip(grid, images, texts, strict=False):
        show(axes, image)
        axes.set_xlabel(text, fontsize=8)
    for axes in grid[len(images) :]:
        axes.remove()
    foot_legend(figure, [], caption)
    return figure


def said(classes: Sequence[str], label: int, guess: int, probability: float) -> str:
    """Return what a network says of an image, how sure it is, and what it is if not that."""
    share = f"{classes[guess]} ({probability:.0%})"
    return share if label == guess else f"{share}\nis {classes[label]}"


def predictions_pages(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    """Return the pages of predictions, as far as there are arrays of them.

    Args:
        title: above all.
        arrays: ``confusion`` with ``class_names``; of a sheet ``right`` or ``wrong``, each with
            ``_images``, ``_labels``, ``_predicted`` and ``_probabilities`` behind its name;
            ``about``, of which images and weights.
    """
    classes = arrays["class_names"].tolist()
    about = str(arrays["about"][0]) if "about" in arrays else "kept predictions"
    pages: dict[str, Figure] = {}
    if "confusion" in arrays:
        pages["confusion"] = confusion(
            f"{title}: confusion matrix", arrays["confusion"], classes, about
        )
    for kind in ("right", "wrong"):
        if f"{kind}_images" in arrays and len(arrays[f"{kind}_images"]):
            parts = (arrays[f"{kind}_{name}"] for name in ("labels", "predicted", "probabilities"))
            words = [said(classes, *each) for each in zip(*parts, strict=True)]
            pages[kind] = sheet(
                f"{title}: most confident {kind} predictions",
                arrays[f"{kind}_images"],
                words,
                f"{about}; the most confident {kind} predictions with their probability",
            )
    return pages

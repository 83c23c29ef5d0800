"""Predictions as pictures: the confusion matrix, and sheets of images with what is said of them.

Given arrays and names; draws only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

COLUMNS = ((12, 2), (48, 3), (math.inf, 4))
"""Up to how many images there are how many beside each other in a sheet, each with its bars."""

TOP = 4
"""Classes of an image that have a bar; the label is one more where it is none of them."""

NAME_WIDTH = 16
FILE_WIDTH = 28
"""Characters of an image's name below it."""

RIGHT, WRONG, OTHER = "#2a7f4f", "#c0392b", "0.65"
SHEETS = {
    "right": "most confident right predictions",
    "wrong": "most confident wrong predictions",
    "chosen": "predictions of chosen images",
}
"""The sheets by what the names of their arrays begin with, with their titles."""


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


@dataclass(frozen=True, slots=True, eq=False)
class PredictedImage:
    """An image and what a network says of it.

    Attributes:
        pixels: (H, W, C) uint8.
        name: in the data set.
        label: its class.
        top: (class, probability) of the most probable classes, the predicted one first; the label
            too, as the last, where it is none of them.
    """

    pixels: NDArray[Any]
    name: str
    label: str
    top: Sequence[tuple[str, float]]


def sheet(title: str, images: Sequence[PredictedImage], caption: str) -> Figure:
    """Draw images, each with the probabilities of its most probable classes beside it.

    Args:
        title: above all.
        images: at least one.
        caption: below all.
    """
    columns = min(next(each for most, each in COLUMNS if len(images) <= most), len(images))
    rows = math.ceil(len(images) / columns)
    ratios = {"width_ratios": [1.0, 1.25] * columns}
    figure = page(4.4 * columns, (SIDE + 0.25) * rows + 1.1, title)
    grid = figure.subplots(rows, 2 * columns, squeeze=False, gridspec_kw=ratios)
    places = [(row[2 * column], row[2 * column + 1]) for row in grid for column in range(columns)]
    for (left, right), image in zip(places, images, strict=False):
        show(left, image.pixels)
        left.set_xlabel(shorten(_end_of(image.name)), fontsize=7)
        _bars(right, image)
    for pair in places[len(images) :]:
        for axes in pair:
            axes.remove()
    foot_legend(figure, [], f"{caption}; green is the label, red what is predicted wrongly")
    return figure


def _empty(title: str, caption: str) -> Figure:
    """Return a page that says that there is nothing to show."""
    figure = page(4.4, 1.6, title)
    foot_legend(figure, [], caption)
    return figure


def _bars(axes: Axes, image: PredictedImage) -> None:
    predicted = image.top[0][0]
    heights = np.arange(len(image.top))[::-1]
    for height, (name, share) in zip(heights, image.top, strict=True):
        color = RIGHT if name == image.label else WRONG if name == predicted else OTHER
        axes.barh(height, share, color=color, height=0.7)
        axes.text(min(share, 1.0) + 0.02, height, _percent(share), va="center", fontsize=7)
    axes.set_yticks(heights, [shorten(name, NAME_WIDTH, 1) for name, _ in image.top], fontsize=7)
    axes.set(xlim=(0, 1.3), xticks=[], ylim=(-0.6, max(len(image.top), 4) - 0.4))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)
    axes.set_title(shorten(f"label: {image.label}", 30, 2), fontsize=8, loc="left")


def _end_of(name: str) -> str:
    """Return the end of an image's name, which tells it from others of its folder."""
    return name if len(name) <= FILE_WIDTH else f"…{name[1 - FILE_WIDTH :]}"


def _percent(share: float) -> str:
    """Return a probability of which nothing is said that it is not: never 100 % below 1."""
    percent = 100 * share
    if percent > 99.9:
        return "> 99.9 %" if percent < 100 else "100 %"
    return f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"


def predictions(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    """Return the pages of predictions, as far as there are arrays of them.

    Args:
        title: above all.
        arrays: ``confusion`` with ``class_names``; of a sheet in ``SHEETS`` ``_images``,
            ``_labels``, ``_predicted``, ``_probabilities`` (N, classes) and ``_names`` behind its
            name; ``about``, of which images and weights.
    """
    classes = arrays["class_names"].tolist()
    about = str(arrays["about"][0]) if "about" in arrays else "kept predictions"
    pages: dict[str, Figure] = {}
    if "confusion" in arrays:
        pages["confusion"] = confusion(
            f"{title}: confusion matrix", arrays["confusion"], classes, about
        )
    for kind, words in SHEETS.items():
        if f"{kind}_images" in arrays and not len(arrays[f"{kind}_images"]):
            pages[kind] = _empty(f"{title}: {words}", f"{about}; no image is predicted {kind}")
        elif f"{kind}_images" in arrays:
            names = ("images", "labels", "predicted", "probabilities", "names")
            parts = zip(*(arrays[f"{kind}_{name}"] for name in names), strict=True)
            images = [_predicted(classes, *part) for part in parts]
            pages[kind] = sheet(f"{title}: {words}", images, about)
    return pages


def _predicted(
    classes: Sequence[str], pixels: NDArray[Any], label: int, guess: int, shares: Any, name: str
) -> PredictedImage:
    order = np.argsort(-shares, kind="stable")[:TOP].tolist()
    shown = list(dict.fromkeys([int(guess), *order]))[:TOP]
    shown += [] if label in shown else [int(label)]
    top = [(classes[index], float(shares[index])) for index in shown]
    return PredictedImage(pixels, str(name), classes[label], top)

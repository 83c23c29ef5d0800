"""Sheets of pictures: filters, neurons, saliency. Given arrays from 0 to 1, or uint8; draws only.

Every function returns a figure; a caption says what its gray or its colours mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.report.figures.page import foot_legend, page, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SIDE = 1.5
"""Inches of a picture."""

TITLE_WIDTH = 22
"""Characters above a picture."""

HEAT = "turbo"

SALIENCY = {
    "color": "colour",
    "gray": "gray",
    "positive": "positive",
    "negative": "negative",
}
"""The pictures of a gradient by name, in their order, with their titles."""


def filters(title: str, layer: str, before: NDArray[Any], after: NDArray[Any]) -> Figure:
    """Draw the filters of a layer before and after training, each as one picture.

    Args:
        title: above all.
        layer: its name.
        before: (N, H, W, C), values from 0 to 1.
        after: likewise, under the same scale.
    """
    figure = page(8.0, 4.9, title)
    # a column between: else one sheet begins where the other ends
    ratios = {"width_ratios": [1, 0.08, 1]}
    first, between, second = figure.subplots(1, 3, gridspec_kw=ratios)
    between.remove()
    for axes, pictures, when in zip(
        (first, second), (before, after), ("before", "after"), strict=True
    ):
        show(axes, tiled(pictures), f"{when} training")
    height, width, channels = after.shape[1:]
    caption = f"{len(after)} filters of {layer}, {height}×{width}×{channels}; both under one scale"
    foot_legend(figure, [], caption)
    return figure


def tiled(pictures: NDArray[Any]) -> NDArray[Any]:
    """Return pictures (N, H, W, C) side by side as one, in rows, with white lines between."""
    count, height, width, channels = pictures.shape
    columns = math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    gap = 1 if max(height, width) < 16 else 2
    sheet = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, channels))
    for number, picture in enumerate(pictures):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def neurons(title: str, layer: str, numbers: Sequence[int], pictures: NDArray[Any]) -> Figure:
    """Draw the weights of neurons side by side.

    Args:
        title: above all.
        layer: its name.
        numbers: of the neurons.
        pictures: (N, H, W, C) in colour, or (N, H, W) summed over the channels; 0.5 is a weight
            of 0.
    """
    columns = min(len(numbers), 6)
    rows = math.ceil(len(numbers) / columns)
    figure = page(max(4.5, SIDE * columns + 0.4), (SIDE + 0.25) * rows + 1.1, title)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, number, picture in zip(grid, numbers, pictures, strict=False):
        show(axes, picture, f"neuron {number}")
    for axes in grid[len(numbers) :]:
        axes.remove()
    is_color = pictures.ndim == 4 and pictures.shape[3] == 3
    zero = "a colour's weight of 0 is half bright" if is_color else "a weight of 0 is gray"
    summed = "" if pictures.ndim == 4 else "summed over the channels; "
    foot_legend(figure, [], f"weights of {layer}; {summed}{zero}, one scale for all")
    return figure


def saliency(
    title: str,
    images: NDArray[Any],
    captions: Sequence[str],
    pictures: Mapping[str, NDArray[Any]],
    method: str,
) -> Figure:
    """Draw images, each with the pictures of its gradient beside it.

    Args:
        title: above all.
        images: (N, H, W, C) uint8.
        captions: below each image: its class and what the network says.
        pictures: of each image by name, as in :data:`SALIENCY`, values from 0 to 1.
        method: what they were made by.
    """
    shown = [name for name in SALIENCY if name in pictures]
    titles = SALIENCY if images.shape[3] == 3 else {**SALIENCY, "color": "signed"}
    figure, grid = _beside(title, captions, 1 + len(shown))
    for row, image in enumerate(images):
        show(grid[row][0], image, "image" if row == 0 else "")
        grid[row][0].set_xlabel(shorten(captions[row], TITLE_WIDTH + 4), fontsize=8)
        for axes, name in zip(grid[row][1:], shown, strict=True):
            show(axes, pictures[name][row], titles[name] if row == 0 else "")
    caption = f"{method}; {titles['color']}: 0 is half bright; gray: the sum of magnitudes"
    foot_legend(figure, [], f"{caption}; the largest values are cut")
    return figure


def heat(
    title: str, images: NDArray[Any], captions: Sequence[str], maps: NDArray[Any], layer: str
) -> Figure:
    """Draw images, each with the map of Grad-CAM beside it, and with the map laid over it.

    Args:
        title: above all.
        images: (N, H, W, C) uint8.
        captions: below each image.
        maps: (N, H, W), 0 and above.
        layer: whose maps they were made of.
    """
    figure, grid = _beside(title, captions, 3)
    for row, (image, heat_map) in enumerate(zip(images, maps, strict=True)):
        most = float(heat_map.max()) or 1.0
        titles = ("image", "map", "both") if row == 0 else ("", "", "")
        show(grid[row][0], image, titles[0])
        grid[row][0].set_xlabel(shorten(captions[row], TITLE_WIDTH + 4), fontsize=8)
        show(grid[row][1], heat_map / most, titles[1], HEAT)
        show(grid[row][2], image, titles[2])
        grid[row][2].imshow(heat_map / most, cmap=HEAT, alpha=0.45, vmin=0, vmax=1)
    caption = f"Grad-CAM of {layer}; every map from 0 to its largest value"
    if not all(heat_map.any() for heat_map in maps):
        caption += "; a map of 0 alone: nothing that the layer found speaks for the class"
    foot_legend(figure, [], caption)
    return figure


def _beside(title: str, captions: Sequence[str], columns: int) -> tuple[Figure, Any]:
    lines = max(shorten(each, TITLE_WIDTH + 4).count("\n") + 1 for each in captions)
    height = (SIDE + 0.1 + 0.15 * lines) * len(captions) + 1.1
    figure = page(max(5.0, (SIDE + 0.15) * columns), height, title)
    return figure, figure.subplots(len(captions), columns, squeeze=False)


def show(axes: Axes, picture: NDArray[Any], title: str = "", cmap: str = "gray") -> None:
    """Show (H, W), (H, W, 1) or (H, W, 3) without interpolation, from black to white."""
    flat = picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    most = 255 if flat.dtype == np.uint8 else 1
    axes.imshow(flat, cmap=cmap, vmin=0, vmax=most, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(shorten(title, TITLE_WIDTH), fontsize=8)

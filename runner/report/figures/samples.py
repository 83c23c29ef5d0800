"""Augmentation as pictures: each image beside its augmented versions.

Draws the grid; is given pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from runner.report.figures.figure_request import FigureRequest
from runner.report.figures.page import foot_legend, page, shorten

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_PIPELINES = 10
"""Pipelines that one figure shows beside each other."""

SIDE = 1.45
"""Inches of a picture."""

TITLE_WIDTH = 19
"""Characters above a picture."""


@dataclass(frozen=True)
class SampleGroup:
    """Images of one data set.

    Attributes:
        labels: class of each image.
        pixels: (N, H, W, C) uint8, C being 1 or 3.
        versions: for each pipeline what it is called, the probability with which images go through
            it, and what it makes of them, (count, N, H, W, C) uint8.
    """

    labels: tuple[str, ...]
    pixels: NDArray[np.uint8]
    versions: tuple[tuple[str, float, NDArray[np.uint8]], ...]

    def columns(self) -> list[tuple[str, NDArray[np.uint8]]]:
        """Return (title, pictures) of each column after the originals."""
        return [
            (name + (f" ({number})" if len(made) > 1 else ""), pictures)
            for name, _, made in self.versions
            for number, pictures in enumerate(made, start=1)
        ]


def augmentations(request: FigureRequest) -> Figure:
    """Draw a row for each image: the original, then its augmented versions."""
    groups = request.samples
    columns = 1 + max(len(group.columns()) for group in groups)
    rows = sum(len(group.labels) for group in groups)
    width = max(4.5, SIDE * columns + 0.5)
    titles = sum(0.16 * _title_lines(group) for group in groups)
    figure = page(width, SIDE * rows + titles + 0.9, request.title("augmented training images"))
    grid = figure.subplots(rows, columns, squeeze=False)
    row = 0
    for group in groups:
        for index, label in enumerate(group.labels):
            along = grid[row]
            _show(along[0], group.pixels[index], "original" if index == 0 else "")
            along[0].set_ylabel(shorten(label, 16))
            for axes, (title, made) in zip(along[1:], group.columns(), strict=False):
                _show(axes, made[index], title if index == 0 else "")
            for axes in along[1 + len(group.columns()) :]:
                axes.remove()
            row += 1
    foot_legend(figure, [], _caption(groups))
    return figure


def _title_lines(group: SampleGroup) -> int:
    wrapped = [shorten(title, TITLE_WIDTH, 4) for title, _ in group.columns()]
    return max(text.count("\n") + 1 for text in wrapped)


def _show(axes: Axes, pixels: NDArray[np.uint8], title: str) -> None:
    """Show (H, W, C) pixels without interpolation; gray for one channel."""
    picture = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(shorten(title, TITLE_WIDTH, 4), fontsize=8)


def _caption(groups: Sequence[SampleGroup]) -> str:
    chances = sorted({chance for group in groups for _, chance, _ in group.versions})
    if chances == [1.0]:
        return "every training image is augmented, anew in every epoch"
    shares = " or ".join(f"{chance:g}" for chance in chances)
    return f"shown are images that are augmented: in training each is with probability {shares}"

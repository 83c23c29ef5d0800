"""Images that a person gives for a recorded run: by their names in its data, or as files.

Owns how such a text is read, and that a file is prepared as the run's data was; and whether what is
asked for says something of the run's network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.bind.run_images import RunImages
from runner.components.analyses.analysis import AnalysisSettings
from runner.components.data import Data
from runner.core.errors import UsageError, nearest
from runner.core.text import printable
from runner.engine.inference.model import TrainedModel

SHOWN = 24

MOST_COMPARED = 20_000
"""Names among which the nearest is looked for; of more it takes too long."""


@dataclass(frozen=True, eq=False)
class GivenImage:
    """An image as the network of a run takes it.

    Attributes:
        name: in the data set, or of the file, printable.
        pixels: (H, W, C) uint8.
        number: among the run's images; None of a file.
        label: class index; None of a file.
    """

    name: str
    pixels: NDArray[np.uint8]
    number: int | None = None
    label: int | None = None


def given_images(given: Sequence[str], images: RunImages, data: Data) -> list[GivenImage]:
    """Return images by name of the data set, or from files.

    Args:
        given: names, or paths of files. Where both are there, the name counts: ``./NAME`` is the
            file.
        images: of the run.
        data: settings of the run.

    Raises:
        UsageError: for what is neither, or cannot be read.
        DataError: for an image of the data set that cannot be decoded.
    """
    numbers = {name: number for number, name in enumerate(images.names)}
    return [_given(each, numbers, images, data) for each in given]


def _given(text: str, numbers: dict[str, int], images: RunImages, data: Data) -> GivenImage:
    number = numbers.get(text)
    if number is not None:
        (pixels,) = images.pixels([number])
        return GivenImage(text, pixels, number, images.labels[number])
    shown = printable(text)
    if text in images.left_out:
        why = images.left_out[text]
        raise UsageError(f"the image {shown} was left out, as it cannot be decoded: {why}")
    if not os.path.lexists(text):
        few = len(images.names) <= MOST_COMPARED
        raise UsageError(
            f"no image of the run's data and no file is called '{shown}'",
            suggestion=nearest(text, images.names) if few else "",
        )
    from runner.engine.inference.image_files import read_files

    (found,) = read_files([Path(text)], data, images.shape)
    if found.pixels is None:
        raise UsageError(f"{shown} cannot be read as an image: {found.error}")
    return GivenImage(shown, found.pixels)


def check_suits(model: TrainedModel, asked: AnalysisSettings) -> None:
    """Check that an analysis says something of a trained network, without its weights.

    Raises:
        UsageError: when it does not, with the layers there are where one is unknown.
    """
    from runner.engine.analyses.suitable import UnsuitableNetwork, check_network

    try:
        check_network(asked, model.settings, model.shape, len(model.classes))
    except UnsuitableNetwork as error:
        layers = error.layers
        raise UsageError(
            str(error),
            allowed=", ".join(layers[:SHOWN]) + (", …" if len(layers) > SHOWN else ""),
            suggestion=nearest(error.layer, layers) if error.layer else "",
        ) from None

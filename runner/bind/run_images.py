"""The images that a recorded run was trained on, found again: its classes, and some of the images.

They are looked for among the prepared images in ``.runner/``, then where the run's data lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.artifacts.folder import INDEX
from runner.bind.workspace import Workspace
from runner.components.data import Data
from runner.components.data.dataset import DataAccess, ImageSource, MissingData
from runner.core.artifacts import pixels_name
from runner.core.errors import DataError, UsageError
from runner.core.spacing import evenly_spaced
from runner.engine.data.arrays import map_array
from runner.engine.data.pixels_index import ARRAY, look_whole
from runner.engine.stages.prepare import Corrupt, decoded
from runner.lower.trajectory import pixels_key

WHY = "the names of its classes are known only from its data"


@dataclass(frozen=True)
class RunImages:
    """The images of a run.

    Attributes:
        classes: printable names, in the order of the network's outputs.
        shape: channels, height, width of a preprocessed image.
        sample: returns about so many of the preprocessed images, (N, H, W, C) uint8, from all over
            the data set.
        named: returns the preprocessed images of these names, likewise.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    sample: Callable[[int], NDArray[np.uint8]]
    named: Callable[[Sequence[str]], NDArray[np.uint8]]


def run_images(home: Workspace, data: Data, fingerprint: str, access: DataAccess) -> RunImages:
    """Return the images of a run.

    Args:
        home: where prepared images lie.
        data: settings of the run.
        fingerprint: of its data, as recorded.
        access: finds the data.

    Raises:
        UsageError: when they are gone, or others now.
        DataError: when none of them can be decoded.
    """
    key = pixels_key(data, fingerprint)
    folder = home.artifacts(None).path(pixels_name(key))
    if look_whole(folder, key):
        return _prepared(folder)
    return _from_source(_source(data, fingerprint, access), data)


def _prepared(folder: Path) -> RunImages:
    index = json.loads((folder / INDEX).read_text())
    _, height, width, channels = index["shape"]

    def sample(count: int) -> NDArray[np.uint8]:
        pixels = map_array(folder / ARRAY)
        return np.array(pixels[evenly_spaced(len(pixels), count)])

    def named(names: Sequence[str]) -> NDArray[np.uint8]:
        rows = {name: row for row, name in enumerate(index["names"])}
        return np.array(map_array(folder / ARRAY)[[rows[name] for name in names]])

    return RunImages(tuple(index["classes"]), (channels, height, width), sample, named)


def _source(data: Data, fingerprint: str, access: DataAccess) -> ImageSource:
    try:
        source = data.build(access)
    except MissingData as error:
        looked = ", ".join(map(str, error.looked))
        found = f"the data set {data.dataset} of the run is not here: {error.what}"
        found += f"\n    looked for: {looked}" if looked else ""
        raise UsageError(found, hint=f"{WHY}: {error.how_to_get}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"the data of the run cannot be read: {error}", hint=WHY) from None
    if source.fingerprint != fingerprint:
        where = f" ({source.root})" if source.root is not None else ""
        raise UsageError(
            f"the data set {data.dataset}{where} is not what the run was trained on any more",
            hint=f"{WHY}: put it back as it was, or train on what is there now",
        )
    return source


def _from_source(source: ImageSource, data: Data) -> RunImages:
    def decode(indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        found = decoded(source, indices, data)
        return [each for each in found if not isinstance(each, Corrupt)]

    total = len(source.names)
    first: list[NDArray[np.uint8]] = []
    for index in range(total):
        if first := decode([index]):
            break
    if not first:
        raise DataError(f"no image of the data set {data.dataset} can be decoded")
    height, width, channels = first[0].shape

    def sample(count: int) -> NDArray[np.uint8]:
        return np.stack(decode(evenly_spaced(total, count)) or first)

    def named(names: Sequence[str]) -> NDArray[np.uint8]:
        rows = {name: row for row, name in enumerate(source.names)}
        pixels = decode([rows[name] for name in names])
        if len(pixels) < len(names):
            raise DataError(f"images of the data set {data.dataset} can no longer be decoded")
        return np.array(pixels, dtype=np.uint8).reshape(len(names), height, width, channels)

    return RunImages(source.classes, (channels, height, width), sample, named)

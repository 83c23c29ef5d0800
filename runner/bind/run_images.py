"""The images that a recorded run was trained on, found again: its classes, and some of the images.

They are looked for among the prepared images in ``.runner/``, then where the run's data lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.artifacts.exchange import read_whole
from runner.artifacts.folder import INDEX
from runner.bind.workspace import Workspace
from runner.components.data import Data
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import MissingData
from runner.components.data.splitting import Split
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
    """The images of a run, preprocessed where they are asked for.

    Attributes:
        classes: printable names, in the order of the network's outputs.
        shape: channels, height, width of a preprocessed image.
        names: of the images, printable.
        labels: class index of each.
        official: the data set's own split of each, or ().
        decode: gives images by their numbers, (H, W, C) uint8 each, or why one cannot be decoded.
        left_out: why images that the data set lists are not among these, by name.
        may_lack: whether some of these may turn out not to be decodable, and are then left out.
        key: of the pixels.
        groups: of each, or ().
        find: finds the images themselves; raises UsageError where they are gone, or others now.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    names: Sequence[str]
    labels: Sequence[int]
    official: Sequence[Split]
    decode: Callable[[Sequence[int]], Iterable[NDArray[np.uint8] | Corrupt]]
    left_out: Mapping[str, str] = field(default_factory=dict)
    may_lack: bool = False
    key: str = ""
    groups: Sequence[str] = ()
    find: Callable[[], ImageSource] | None = None

    def sample(self, count: int) -> NDArray[np.uint8]:
        """Return about so many of the images, (N, H, W, C) uint8, from all over the data set.

        Raises:
            DataError: when none of them can be decoded.
        """
        found = self.decode(evenly_spaced(len(self.names), count))
        whole = [each for each in found if not isinstance(each, Corrupt)]
        return np.stack(whole or [_first(self.decode, len(self.names))])

    def pixels(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """Return images by their numbers, (N, H, W, C) uint8.

        Raises:
            DataError: when one cannot be decoded.
        """
        found: list[NDArray[np.uint8]] = []
        for each in self.decode(numbers):
            if isinstance(each, Corrupt):
                raise DataError(f"{each.name} cannot be decoded: {each.error}")
            found.append(each)
        channels, height, width = self.shape
        return np.array(found, dtype=np.uint8).reshape(len(found), height, width, channels)

    def named(self, names: Sequence[str]) -> NDArray[np.uint8]:
        """Return images by their names, (N, H, W, C) uint8.

        Raises:
            DataError: when one cannot be decoded.
        """
        numbers = {name: number for number, name in enumerate(self.names)}
        return self.pixels([numbers[name] for name in names])

    def split(self, data: Data, split: Split) -> list[int]:
        """Return the numbers of the images of a split, as the run's training had them.

        Args:
            data: settings of the run.
            split: which.

        Raises:
            UsageError: when it has no images.
        """
        kept = list(range(len(self.names)))
        if self.may_lack:
            lacking = {each.index for each in self.decode(kept) if isinstance(each, Corrupt)}
            kept = [number for number in kept if number not in lacking]
        official = [self.official[number] for number in kept] if self.official else []
        groups = [self.groups[number] for number in kept] if self.groups else []
        labels = [self.labels[number] for number in kept]
        found = data.split(labels, self.classes, official, groups)
        numbers = [kept[place] for place in found[split]]
        if not numbers:
            some = ", ".join(name for name, each in found.items() if len(each))
            raise UsageError(f"the run has no {split} images", allowed=some)
        return numbers


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
    stored, name = home.artifacts(None), pixels_name(key)
    folder = stored.path(name)
    if read_whole(stored, name, lambda path: look_whole(path, key)):
        return replace(_prepared(folder), key=key, find=lambda: _source(data, fingerprint, access))
    source = _source(data, fingerprint, access)
    return replace(_from_source(source, data), key=key, find=lambda: source)


def _prepared(folder: Path) -> RunImages:
    index = json.loads((folder / INDEX).read_text())
    _, height, width, channels = index["shape"]

    def decode(numbers: Sequence[int]) -> Iterable[NDArray[np.uint8]]:
        pixels = map_array(folder / ARRAY)
        return (np.array(pixels[number]) for number in numbers)

    return RunImages(
        tuple(index["classes"]),
        (channels, height, width),
        index["names"],
        index["labels"],
        index["splits"],
        decode,
        {each["name"]: each["error"] for each in index["skipped"]},
        groups=index.get("groups", ()),
    )


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
    def decode(numbers: Sequence[int]) -> Iterable[NDArray[np.uint8] | Corrupt]:
        return decoded(source, numbers, data)

    try:
        height, width, channels = _first(decode, len(source.names)).shape
    except DataError:
        raise DataError(f"no image of the data set {data.dataset} can be decoded") from None
    return RunImages(
        source.classes,
        (channels, height, width),
        source.names,
        source.labels,
        source.splits,
        decode,
        may_lack=data.on_corrupt == "skip",
        groups=source.groups,
    )


def _first(
    decode: Callable[[Sequence[int]], Iterable[NDArray[np.uint8] | Corrupt]], total: int
) -> NDArray[np.uint8]:
    """Return the first image that can be decoded.

    Raises:
        DataError: when there is none.
    """
    for number in range(total):
        for each in decode([number]):
            if not isinstance(each, Corrupt):
                return each
    raise DataError("no image can be decoded")

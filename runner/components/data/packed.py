"""Data sets whose images lie side by side in a few files, all of one size: arrays in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from runner.components.data.dataset import DatasetSettings, ImageSource
from runner.components.data.splitting import Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


class PackedDataset(DatasetSettings):
    """What such data sets share: the size of their images and the number of their classes."""

    SIDE: ClassVar[int]
    """Height and width in pixels."""
    NUM_CLASSES: ClassVar[int] = 10

    def image_size(self) -> tuple[int, int]:
        """Return height and width of every image."""
        return self.SIDE, self.SIDE

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return self.NUM_CLASSES


def source_of_parts(
    root: Path,
    parts: Mapping[str, tuple[NDArray[np.uint8], NDArray[Any]]],
    classes: Sequence[str],
) -> ImageSource:
    """Return the source of parts with images and labels each, of which the last is for tests.

    Args:
        root: folder of the files.
        parts: pixels, as :func:`packed_source` takes them, and labels (N,), by the part's name.
        classes: their names.

    Raises:
        OSError: when a part has not as many labels as images, or a label is of no class.
    """
    import numpy as np

    for name, (images, labels) in parts.items():
        if len(images) != len(labels):
            found = f"{len(images)} images of {name}, but {len(labels)} labels"
            raise OSError(f"{root} is not as it was published: {found}")
    pixels, every = zip(*parts.values(), strict=True)
    joined = [int(label) for labels in every for label in labels]
    return packed_source(root, np.concatenate(pixels), joined, classes, len(every[-1]))


def packed_source(
    root: Path,
    pixels: NDArray[np.uint8],
    labels: Sequence[int],
    classes: Sequence[str],
    num_test: int,
    digest: str | None = None,
) -> ImageSource:
    """Return the source of images in memory, identified by their pixels and labels.

    Args:
        root: folder of the files.
        pixels: uint8 (N, H, W) or (N, H, W, 3); training images first.
        labels: class index of each image, below 256.
        classes: their names.
        num_test: how many images at the end are test images.
        digest: fingerprint, where an earlier version took it otherwise.

    Raises:
        OSError: when there are not as many labels as images, or one is of no class.
    """
    from PIL import Image as PillowImage

    if len(labels) != len(pixels):
        raise OSError(f"{root}: {len(pixels)} images, but {len(labels)} labels")
    wrong = [label for label in labels if not 0 <= label < len(classes)]
    if wrong:
        raise OSError(f"{root}: label {wrong[0]}, but the classes are 0 to {len(classes) - 1}")
    splits: list[Split] = ["train"] * (len(labels) - num_test)
    splits += ["test"] * num_test

    def read(index: int) -> Image:
        return PillowImage.fromarray(pixels[index])

    return ImageSource(
        names=tuple(f"{index:05d}" for index in range(len(labels))),
        labels=tuple(labels),
        classes=tuple(classes),
        splits=tuple(splits),
        fingerprint=digest or _digest(pixels, labels),
        read=read,
        root=root,
    )


def _digest(pixels: NDArray[np.uint8], labels: Sequence[int]) -> str:
    import numpy as np

    hashed = hashlib.sha256(repr(pixels.shape).encode())
    hashed.update(np.ascontiguousarray(pixels).data)
    hashed.update(bytes(labels))
    return hashed.hexdigest()[:32]

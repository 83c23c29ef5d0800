"""Images and labels as arrays in an .npz file, in MedMNIST's layout."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from runner.components.component import PATH_FIELD
from runner.components.data.array_files import read_arrays
from runner.components.data.array_images import ImagePart, list_arrays
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource
from runner.components.data.files import HashedFiles
from runner.components.data.finding import find_any
from runner.components.data.invalid import InvalidData
from runner.core.keys import content_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

HOW_TO_GET = (
    "give an .npz file with train_images and train_labels, absolute or relative to --data"
    " (RUNNER_DATA), ./data, the current folder or the spec's folder"
)


class Arrays(FractionDataset):
    """An .npz file with `train_images`, `train_labels` and, for official splits, `val_…`, `test_…`.

    This is the layout of MedMNIST. Images are uint8 of shape (N, height, width), or (N, height,
    width, 1 or 3); labels are whole numbers from 0 on, (N,) or (N, 1). Without `train_images`,
    `images` and `labels` are split by fractions. The official splits are used as those of folders
    are. Python objects in the file are refused, and other arrays are not looked at.
    """

    dataset: Literal["arrays"]
    path: Annotated[str, Field(min_length=1)] = Field(
        description="the file", examples=["photos.npz"], json_schema_extra=PATH_FIELD
    )
    classes: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="names of the classes with the labels 0, 1, 2 …; the labels when not given",
        json_schema_extra={"neutral": None},
    )

    @field_validator("classes", mode="after")
    @classmethod
    def _each_once(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice} stands twice")
        return names

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training images first; an array is read when its first image is.

        Raises:
            MissingData: when the file is not found.
            InvalidData: when its arrays are not as they should be.
            OSError: when it cannot be read.
        """
        path = find_any(access, self.path, HOW_TO_GET)
        digests = access.hash_files(path.parent, [path.name])
        sizes = (path.stat().st_size,)
        file = HashedFiles(path.parent, (path.name,), tuple(digests), sizes, access)
        listed = list_arrays(path, self.classes)
        identity = {"file": digests[0], "classes": list(listed.classes)}
        return ImageSource(
            names=listed.names,
            labels=listed.labels,
            classes=listed.classes,
            splits=listed.splits,
            fingerprint=content_key("fingerprint", {"arrays": identity}),
            read=_reader(path, listed.parts, file),
            root=path,
            notes=listed.notes,
        )


def _reader(path: Path, parts: Sequence[ImagePart], file: HashedFiles) -> Callable[[int], "Image"]:
    """Return a function that reads an image; an array is read whole when its first image is.

    Args:
        path: of the file, for messages.
        parts: in the order of the images.
        file: is read only while it is as it was hashed.
    """
    ends = list(accumulate(part.count for part in parts))
    lock = Lock()

    @cache
    def loaded(number: int) -> "NDArray[np.generic] | InvalidData":
        try:
            return read_arrays(path, [parts[number].name], file.read(0))[0]
        except InvalidData as error:
            return error  # said of each image, without reading the file again

    def read(index: int) -> "Image":
        number = bisect_right(ends, index)
        with lock:  # several threads decode: one of them reads
            array = loaded(number)
        if isinstance(array, InvalidData):
            raise array
        return image_of_array(array[index - (ends[number - 1] if number else 0)])

    return read


def image_of_array(pixels: "NDArray[np.generic]") -> "Image":
    """Return the image of pixels (height, width), or with 1 or 3 channels behind, uint8."""
    from PIL import Image as PillowImage

    return PillowImage.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)

"""Any files and arrays as images: preprocessed as the data of a run was, or why they cannot be.

Decoding uses all cores, as far as the images fit into a fixed amount of memory at a time. Knows no
network.
"""

from __future__ import annotations

import math
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.components.data.array_files import read_arrays
from runner.components.data.array_images import ImagePart
from runner.components.data.arrays import image_of_array
from runner.components.data.dataset import DatasetSettings
from runner.components.data.files import decoded_image, opened
from runner.components.data.listing import LEADS_NOWHERE, SPECIAL
from runner.engine.stages.prepare import transform

CHUNK = 256
CHUNK_BYTES = 1 << 28
"""Of preprocessed images that wait for their batch: no more than CHUNK, and fewer large ones."""

DECODED_BYTES = 1 << 30
"""Of images that are decoded at the same time; a larger one is decoded alone."""

COPIES = 3
"""Of a decoded image, at most, while it is turned, laid on its background and converted."""

BYTES_OF_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
"""Of Pillow's modes; all others take four, RGB too."""

STILL = ("MPO",)
"""Formats of several pictures that are one photograph, as cameras write them."""


Source = TypeVar("Source")


@dataclass(frozen=True, slots=True)
class FileImage:
    """A file that was looked at.

    Attributes:
        path: as it was given or found; of an image in an array, its name below that of the file.
        pixels: (H, W, C), or None where it could not be read.
        error: why not, or "".
        is_animated: whether it has more frames than the first, which was taken.
    """

    path: Path
    pixels: NDArray[np.uint8] | None
    error: str = ""
    is_animated: bool = False


def find_files(given: Sequence[Path]) -> Iterator[Path]:
    """Yield files as they are given, and all files below given folders by name.

    Hidden files in folders are left out, and so are folders that hold their own links.

    Raises:
        OSError: when a folder cannot be read.
    """
    for path in given:
        if os.path.isdir(path):
            yield from _below(path, frozenset())
        else:
            yield path


def _below(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder that holds it
        return
    for name in sorted(os.listdir(folder)):
        if name.startswith("."):
            continue
        path = folder / name
        if os.path.isdir(path):
            yield from _below(path, above | {real})
        else:
            yield path


def read_files(
    paths: Iterable[Path], settings: DatasetSettings, shape: tuple[int, int, int]
) -> Iterator[FileImage]:
    """Yield files as preprocessed images, in order.

    Args:
        paths: of files.
        settings: preprocessing.
        shape: channels, height, width that are wanted; images of another size count as unreadable.
    """

    room = _Room(DECODED_BYTES)

    def read(path: Path) -> FileImage:
        return _read(path, settings, shape, room)

    return _side_by_side(read, paths, shape)


def read_array(
    file: Path, part: ImagePart, settings: DatasetSettings, shape: tuple[int, int, int]
) -> Iterator[FileImage]:
    """Yield the images of an array as preprocessed ones, in order; the array is read whole.

    Args:
        file: of arrays.
        part: the array in it.
        settings: preprocessing.
        shape: as of :func:`read_files`.

    Raises:
        InvalidData: when the array cannot be read.
        OSError: when the file cannot.
    """
    (array,) = read_arrays(file, [part.name])

    def read(named: tuple[str, NDArray[np.generic]]) -> FileImage:
        path = file / named[0]
        try:
            return _fitting(path, transform(image_of_array(named[1]), settings), shape)
        except (OSError, ValueError) as error:
            return FileImage(path, None, str(error))

    return _side_by_side(read, zip(part.names(), array, strict=True), shape)


def _side_by_side(
    read: Callable[[Source], FileImage], sources: Iterable[Source], shape: tuple[int, int, int]
) -> Iterator[FileImage]:
    """Yield what many threads read, in order, so many images ahead as fit into memory."""
    left = iter(sources)
    size = max(1, min(CHUNK, CHUNK_BYTES // math.prod(shape)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while chunk := list(islice(left, size)):
            yield from pool.map(read, chunk)


def in_batches(found: Iterable[FileImage], size: int) -> Iterator[list[FileImage]]:
    """Yield files so many at a time."""
    left = iter(found)
    while batch := list(islice(left, size)):
        yield batch


class _Room:
    """Memory that several threads share; whoever wants more than is free waits for the others."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Hold so many bytes meanwhile, or all of them where more are wanted."""
        held = min(wanted, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= held)
            self._free -= held
        try:
            yield
        finally:
            with self._changed:
                self._free += held
                self._changed.notify_all()


def _read(
    path: Path, settings: DatasetSettings, shape: tuple[int, int, int], room: _Room
) -> FileImage:
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            kind = SPECIAL.get(stat.S_IFMT(found.st_mode), "no regular file")
            return FileImage(path, None, f"it is {kind}")
        if not found.st_size:
            return FileImage(path, None, "the file is empty")
        with (
            path.open("rb") as file,
            opened(file) as image,
            room.taken(COPIES * _decoded_bytes(image)),
        ):
            pixels = transform(decoded_image(image), settings)
            is_animated = _has_more_frames(image)
    except OSError as error:
        nothing = path.is_symlink() and error.errno in LEADS_NOWHERE
        why = "it is a link to nothing" if nothing else error.strerror or str(error)
        return FileImage(path, None, why)
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them into
        return FileImage(path, None, str(error) or type(error).__name__)
    return _fitting(path, pixels, shape, is_animated)


def _fitting(
    path: Path, pixels: NDArray[np.uint8], shape: tuple[int, int, int], is_animated: bool = False
) -> FileImage:
    """Return an image, or why it is not as large as it should be."""
    channels, height, width = shape
    if pixels.shape != (height, width, channels):
        size = "×".join(map(str, pixels.shape[:2]))
        why = f"it is {size} pixels, and the run's images are {height}×{width} (height × width)"
        return FileImage(path, None, why)
    return FileImage(path, pixels, is_animated=is_animated)


def _decoded_bytes(image: Image.Image) -> int:
    """Return about how much memory an image takes once it is decoded."""
    return image.width * image.height * BYTES_OF_PIXEL.get(image.mode, 4)


def _has_more_frames(image: Image.Image) -> bool:
    """Return whether an image has frames or pages after the first, which may be damaged."""
    try:
        return bool(getattr(image, "is_animated", False)) and image.format not in STILL
    except Exception:  # likewise
        return False

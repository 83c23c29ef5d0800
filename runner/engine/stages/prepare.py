"""Decoding: from a data set's images to pixels of the size that its settings ask for.

Everyone who decodes does it here, so that an image that is corrupt, or no longer what was hashed,
is told alike everywhere. Knows nothing of where pixels are kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.components.data.dataset import DatasetSettings, ImageSource, Size
from runner.components.data.files import ChangedFile
from runner.components.data.preparing import resized
from runner.components.data.transparency import on_background
from runner.core.errors import DataError
from runner.core.text import printable

CHUNK = 256
MAX_PIXELS = 1 << 28
"""Of one resized image."""
SHOWN = 10
ONLY_TO_RGB = ("LAB",)
"""Pillow's modes that it does not convert to gray."""
DEEP = ("I", "F")
"""What its modes of more than 8 bits begin with."""


@dataclass(frozen=True, slots=True)
class Corrupt:
    """An image that could not be decoded, and why."""

    index: int
    name: str
    error: str


def read_image(source: ImageSource, index: int) -> Image.Image | Corrupt:
    """Return an image as it is in its file, or why it cannot be decoded.

    Raises:
        DataError: when it is no longer what was hashed.
    """
    try:
        return _read(source, index)
    except ChangedFile as changed:
        raise DataError(changed_message(changed)) from None


def _read(source: ImageSource, index: int) -> Image.Image | Corrupt:
    try:
        return source.read(index)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Corrupt(index, source.names[index], str(error))


def _decoded(
    source: ImageSource, index: int, settings: DatasetSettings
) -> NDArray[np.uint8] | Corrupt:
    image = _read(source, index)
    if isinstance(image, Corrupt):
        return image
    try:
        return transform(image, settings)
    except ValueError as error:
        raise DataError(f"{_where(source, index)}: {error}") from None


def transform(image: Image.Image, settings: DatasetSettings) -> NDArray[np.uint8]:
    """Return the preprocessed pixels, (H, W, C) uint8, of an image with 8 bits.

    Raises:
        ValueError: when the crop is larger than the image, or the resized one is too large; for
            deeper pixels, which Pillow would clip.
    """
    if image.mode.startswith(DEEP):
        raise ValueError(f"pixels of mode {image.mode} were not scaled to 8 bits")
    image = on_background(image, settings.background)
    if image.mode in ONLY_TO_RGB:
        image = image.convert("RGB")
    image = image.convert("RGB" if settings.color == "rgb" else "L")
    if settings.resize is not None:
        width, height = image.size
        rows, columns = resized(height, width, settings.resize)
        if not 0 < rows * columns <= MAX_PIXELS:
            raise ValueError(
                f"data.resize would make {rows}×{columns} pixels of an image of {height}×{width}"
            )
        if (rows, columns) != (height, width):
            image = image.resize((columns, rows), Image.Resampling.BILINEAR)
    if settings.crop is not None:
        image = _centre_crop(image, settings.crop)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _centre_crop(image: Image.Image, crop: Size) -> Image.Image:
    rows, columns = crop if isinstance(crop, tuple) else (crop, crop)
    width, height = image.size
    if rows > height or columns > width:
        raise ValueError(
            f"data.crop is {rows}×{columns}, larger than the image of {height}×{width} pixels"
            " (height × width, after data.resize)"
        )
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    return image.crop((left, top, left + columns, top + rows))


def decoded(
    source: ImageSource, indices: Sequence[int], settings: DatasetSettings
) -> Iterator[NDArray[np.uint8] | Corrupt]:
    """Yield images' preprocessed pixels, (H, W, C) uint8 each, or why one cannot be decoded.

    In order; decoding uses all cores (Pillow releases the lock), and few images are in memory at a
    time.

    Raises:
        DataError: when images are no longer what was hashed, or the crop is larger than an image.
    """

    def decode(index: int) -> NDArray[np.uint8] | Corrupt:
        return _decoded(source, index, settings)

    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(indices), CHUNK):
                yield from pool.map(decode, indices[start : start + CHUNK])
    except ChangedFile as changed:
        raise DataError(changed_message(changed)) from None


def _where(source: ImageSource, index: int) -> str:
    name = source.names[index]
    return printable(str(source.root / name)) if source.root is not None else name


def sizes_differ(
    name: str, pixels: NDArray[np.uint8], other: str, its_pixels: NDArray[np.uint8]
) -> str:
    """Return what is wrong with two images, (H, W, C) each, of different sizes."""
    height, width = pixels.shape[:2]
    return (
        f"images have different sizes: {other} is {its_pixels.shape[0]}×{its_pixels.shape[1]}"
        f" pixels, {name} is {height}×{width} (height × width); set data.resize to"
        " [height, width], or data.resize and data.crop"
    )


def corrupt_message(source: ImageSource, corrupt: list[Corrupt]) -> str:
    """Return in words which images cannot be decoded, the first of them by name."""
    lines = [f"{len(corrupt)} of {len(source.names)} images cannot be decoded:"]
    lines += [f"    {_where(source, item.index)}: {item.error}" for item in corrupt[:SHOWN]]
    if len(corrupt) > SHOWN:
        lines.append(f"    … and {len(corrupt) - SHOWN} more")
    lines.append("    remove them, or set data.on_corrupt: skip")
    return "\n".join(lines)


def changed_message(changed: ChangedFile) -> str:
    """Return in words which images are no longer what was hashed, the first of them by name.

    Args:
        changed: the first that was met; the others are looked for.
    """
    files = changed.files
    found = {changed.name: changed.why, **files.changed()}
    lines = [
        f"{len(found)} of {len(files.names)} images are no longer what they were when this command"
        " began:"
    ]
    lines += [f"    {files.root / name}: {why}" for name, why in sorted(found.items())[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"    … and {len(found) - SHOWN} more")
    lines.append("    nothing of them is kept; the same command again takes them as they are then")
    return "\n".join(lines)

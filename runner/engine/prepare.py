"""The prepare stage: decode and resize every image once, into a memory-mapped uint8 array.

Owns the pixel cache's layout: ``pixels.npy`` (N, H, W, C) uint8 and ``index.json``. A cache appears
whole or not at all: it is written beside its place and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.components.data.dataset import DatasetSettings, ImageSource, Size
from runner.components.partial import flush, partial_path, remove_partial
from runner.core.errors import DataError, Interrupted
from runner.engine.arrays import allocate
from runner.engine.context import Context, Outcome, Produced, Progress

CHUNK = 256
MAX_PIXELS = 1 << 28
"""Of one resized image."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Corrupt:
    """An image that could not be decoded, and why."""

    index: int
    name: str
    error: str


def decoded_image(
    source: ImageSource, index: int, settings: DatasetSettings
) -> NDArray[np.uint8] | Corrupt:
    """Return an image's preprocessed pixels, (H, W, C) uint8, or why it cannot be decoded.

    Raises:
        DataError: when the crop is larger than the image, or its pixels have no known range.
    """
    try:
        image = source.read(index)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Corrupt(index, source.names[index], str(error))
    try:
        return transform(image, settings)
    except ValueError as error:
        raise DataError(f"{_where(source, index)}: {error}") from None


def transform(image: Image.Image, settings: DatasetSettings) -> NDArray[np.uint8]:
    """Return the preprocessed pixels, (H, W, C) uint8.

    Raises:
        ValueError: when the crop is larger than the image, or the resized one is too large.
    """
    image = _eight_bits(image).convert("RGB" if settings.color == "rgb" else "L")
    if settings.resize is not None:
        width, height = image.size
        rows, columns = _resized(height, width, settings.resize)
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


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 16-bit gray images scaled to 8 bits; Pillow's own conversion would clip them.

    Raises:
        ValueError: for other deep pixels, whose range is unknown.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no known range; use 8 or 16 bits")
    return image


def _resized(height: int, width: int, size: Size) -> tuple[int, int]:
    """Return (height, width) after torchvision's Resize."""
    if isinstance(size, tuple):
        return size
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


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


def prepare(context: Context, pixels_key: str, settings: DatasetSettings, name: str) -> Outcome:
    """Write the pixel cache of a data set.

    Args:
        context: where, and the source under ``pixels_key``.
        pixels_key: key of the pixels.
        settings: preprocessing.
        name: the artifact's name.

    Raises:
        DataError: for corrupt images (all named) or images of different sizes.
        OSError: when the disk is full.
        Interrupted: when asked to stop; nothing is left behind.
    """
    final = context.artifact_path(name)
    if (final / "index.json").is_file():
        return _outcome(name, final, json.loads((final / "index.json").read_text()))
    partial = partial_path(final)
    partial.mkdir(parents=True)
    try:
        index = _write(context, context.sources[pixels_key], settings, partial)
        _replace_folder(partial, final)
    finally:
        remove_partial(partial)
    if index["skipped"]:
        shown = ", ".join(item["name"] for item in index["skipped"][:SHOWN])
        context.on_note(f"{len(index['skipped'])} corrupt images left out: {shown}")
    return _outcome(name, final, index)


def _replace_folder(partial: Path, final: Path) -> None:
    try:
        partial.rename(final)
    except OSError:
        if not (final / "index.json").is_file():
            raise


def _outcome(name: str, final: Path, index: dict[str, Any]) -> Outcome:
    values = {"images": len(index["labels"]), "skipped": index["skipped"]}
    produced = Produced(name, index["digest"], (final / "pixels.npy").stat().st_size)
    return Outcome("done", values, produced=(produced,))


def _write(
    context: Context, source: ImageSource, settings: DatasetSettings, folder: Path
) -> dict[str, Any]:
    corrupt: list[Corrupt] = []
    pixels: NDArray[np.uint8] | None = None
    first = ""
    for index, decoded in _decode_all(context, source, settings):
        if isinstance(decoded, Corrupt):
            corrupt.append(decoded)
            continue
        if pixels is None:
            pixels = allocate(folder / "pixels.npy", (len(source.names), *decoded.shape), np.uint8)
            first = source.names[index]
        if decoded.shape != pixels.shape[1:]:
            raise DataError(sizes_differ(source.names[index], decoded, first, pixels[0]))
        pixels[index] = decoded
    if pixels is None or (corrupt and settings.on_corrupt == "stop"):
        raise DataError(corrupt_message(source, corrupt))
    skipped = {item.index for item in corrupt}
    kept = [index for index in range(len(source.names)) if index not in skipped]
    if skipped:
        pixels = _compact(folder, pixels, kept)
    index_content = {
        "names": [source.names[index] for index in kept],
        "labels": [source.labels[index] for index in kept],
        "classes": list(source.classes),
        "splits": [source.splits[index] for index in kept] if source.splits else [],
        "shape": list(pixels.shape),
        "skipped": [{"name": item.name, "error": item.error} for item in corrupt],
        "digest": hashlib.sha256(pixels.data).hexdigest(),
    }
    flush(folder / "pixels.npy")
    (folder / "index.json").write_text(json.dumps(index_content))
    flush(folder / "index.json")
    return index_content


def _decode_all(
    context: Context, source: ImageSource, settings: DatasetSettings
) -> Iterator[tuple[int, NDArray[np.uint8] | Corrupt]]:
    """Yield every image in order, with its index."""
    total = len(source.names)
    for start in range(0, total, CHUNK):
        if context.should_stop():
            raise Interrupted("stopped while preparing the images; they are prepared again later")
        chunk = range(start, min(start + CHUNK, total))
        yield from zip(chunk, decoded(source, chunk, settings), strict=True)
        context.on_progress(Progress(chunk.stop, total))


def decoded(
    source: ImageSource, indices: Iterable[int], settings: DatasetSettings
) -> Iterator[NDArray[np.uint8] | Corrupt]:
    """Yield images in order; decoding uses all cores (Pillow releases the lock)."""

    def decode(index: int) -> NDArray[np.uint8] | Corrupt:
        return decoded_image(source, index, settings)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(decode, indices)


def _compact(folder: Path, pixels: NDArray[np.uint8], kept: list[int]) -> NDArray[np.uint8]:
    shape = (len(kept), *pixels.shape[1:])
    compact = allocate(folder / "kept.npy", shape, np.uint8)
    for position, index in enumerate(kept):
        compact[position] = pixels[index]
    (folder / "kept.npy").replace(folder / "pixels.npy")
    return compact


def _where(source: ImageSource, index: int) -> str:
    name = source.names[index]
    return str(source.root / name) if source.root is not None else name


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

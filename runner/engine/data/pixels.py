"""The prepare stage, and the pixels that it leaves: every image decoded and resized once.

Writes ``pixels.npy``, (N, H, W, C) uint8, and what :mod:`runner.engine.data.pixels_index` says of
it. Pixels that are gone, damaged or of an earlier layout are prepared again by whoever needs them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from runner.artifacts.array_folder import (
    NOT_THERE,
    array_folder,
    open_or_make,
    stamp_at,
)
from runner.artifacts.atomic import put_file
from runner.artifacts.exchange import share
from runner.artifacts.folder import INDEX
from runner.components.data import Data
from runner.components.data.dataset import DatasetSettings, ImageSource
from runner.components.data.splitting import Split
from runner.core.artifacts import pixels_name
from runner.core.errors import DataError, Interrupted
from runner.core.moments import reached
from runner.core.records import Produced
from runner.engine.context import Context, Outcome, Progress
from runner.engine.data.arrays import allocate
from runner.engine.data.pixels_index import ARRAY, FORMAT, checksum, fault
from runner.engine.data.samples import Images
from runner.engine.fetching import fetched
from runner.engine.stages.prepare import (
    CHUNK,
    SHOWN,
    Corrupt,
    corrupt_message,
    decoded,
    sizes_differ,
)

T = TypeVar("T")


def prepare(context: Context, pixels_key: str, settings: DatasetSettings, name: str) -> Outcome:
    """Write the pixels of a data set, unless whole ones are there already.

    Args:
        context: where, and the source under ``pixels_key``.
        pixels_key: key of the pixels.
        settings: preprocessing.
        name: the artifact's name.

    Raises:
        DataError: for images that are corrupt (all named), of different sizes, or no longer what
            was hashed.
        OSError: when the disk is full.
        Interrupted: when asked to stop; nothing is left behind.
    """
    folder = context.artifact_path(name)

    def ended() -> Outcome:
        index = json.loads((folder / INDEX).read_text())
        values = {"images": len(index["labels"]), "skipped": index["skipped"]}
        produced = Produced(name, index["digest"], (folder / ARRAY).stat().st_size)
        return Outcome("done", values, produced=(produced,))

    return _take(context, pixels_key, settings, ended, expected=NOT_THERE)


def open_images(
    context: Context,
    pixels_key: str,
    settings: DatasetSettings,
    form: torch.memory_format = torch.channels_last,
) -> Images:
    """Return prepared images, prepared again when they are gone, damaged or of an earlier layout.

    Args:
        context: of the invocation.
        pixels_key: key of the pixels.
        settings: preprocessing, splits and scaling.
        form: memory format of their batches, until they are opened again.

    Raises:
        DataError: when they cannot be prepared again.
        OSError: when the disk is full.
        Interrupted: when asked to stop.
    """
    folder = context.artifact_path(pixels_name(pixels_key))

    def opened() -> Images:
        data = settings.model_dump_json()
        images = _images(folder, data, context.device, stamp_at(folder / ARRAY))
        images.memory_format = form
        return images

    return _take(context, pixels_key, settings, opened)


def _take(
    context: Context,
    pixels_key: str,
    settings: DatasetSettings,
    opened: Callable[[], T],
    expected: str = "",
) -> T:
    name = pixels_name(pixels_key)
    folder = context.artifact_path(name)
    return open_or_make(
        context.on_note,
        "decoded images are prepared again",
        lambda: fault(folder, pixels_key),
        lambda: _make(context, pixels_key, settings, folder),
        opened,
        expected,
        lambda: fetched(context, name),
    )


@lru_cache(maxsize=1)
def _images(folder: Path, data: str, device: torch.device, stamp: str) -> Images:
    settings: DatasetSettings = TypeAdapter(Data).validate_json(data)
    return Images(folder, settings, device)


def forget_images() -> None:
    """Drop the cached images."""
    _images.cache_clear()


def _make(context: Context, pixels_key: str, settings: DatasetSettings, folder: Path) -> None:
    """Decode all images into ``folder``.

    Raises:
        DataError: also when the images are not at hand.
    """
    if pixels_key not in context.sources:
        raise DataError(f"the images that {folder} was made from are not at hand")
    with array_folder(folder, ARRAY) as partial:
        reached("images about to be decoded")
        index = _write(context, context.sources[pixels_key], settings, partial)
        index |= {"format": FORMAT, "pixels": pixels_key}
        index["checksum"] = checksum(index)
        (partial / INDEX).write_text(json.dumps(index))
        reached("pixels written, not renamed")
    reached("pixels in place, not recorded")
    share(context.artifacts, pixels_name(pixels_key))
    if index["skipped"]:
        shown = ", ".join(item["name"] for item in index["skipped"][:SHOWN])
        context.on_note(f"{len(index['skipped'])} corrupt images left out: {shown}")


def _write(
    context: Context, source: ImageSource, settings: DatasetSettings, folder: Path
) -> dict[str, Any]:
    """Write the array; return what the index says of it and of the images."""
    corrupt: list[Corrupt] = []
    pixels: NDArray[np.uint8] | None = None
    first = ""
    for index, image in _decode_all(context, source, settings):
        if isinstance(image, Corrupt):
            corrupt.append(image)
            continue
        if pixels is None:
            pixels = allocate(folder / ARRAY, (len(source.names), *image.shape), np.uint8)
            first = source.names[index]
        if image.shape != pixels.shape[1:]:
            raise DataError(sizes_differ(source.names[index], image, first, pixels[0]))
        pixels[index] = image
    if pixels is None or (corrupt and settings.on_corrupt == "stop"):
        raise DataError(corrupt_message(source, corrupt))
    skipped = {item.index for item in corrupt}
    kept = [index for index in range(len(source.names)) if index not in skipped]
    if skipped:
        pixels = _compact(folder, pixels, kept)
    splits = [source.splits[index] for index in kept] if source.splits else []
    _refuse_lost_splits(source, splits, corrupt)
    digest = hashlib.sha256(pixels.data).hexdigest()
    return {
        "fingerprint": source.fingerprint,
        "names": [source.names[index] for index in kept],
        "labels": [source.labels[index] for index in kept],
        "classes": list(source.classes),
        "splits": splits,
        **({"groups": [source.groups[index] for index in kept]} if source.groups else {}),
        "shape": list(pixels.shape),
        "skipped": [{"name": item.name, "error": item.error} for item in corrupt],
        "digest": digest,
    }


def _refuse_lost_splits(
    source: ImageSource, splits: Sequence[Split], corrupt: Sequence[Corrupt]
) -> None:
    """Refuse official splits of which no image is left: others would be drawn in their place.

    Raises:
        DataError: with the first image of each by name.
    """
    gone = set(source.splits).difference(splits)
    first = {source.splits[item.index]: item for item in reversed(corrupt) if source.splits}
    if gone:
        raise DataError(
            "\n".join(
                f"none of the {split} images can be decoded:\n"
                f"    {first[split].name}: {first[split].error}"
                for split in sorted(gone)
            )
        )


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


def _compact(folder: Path, pixels: NDArray[np.uint8], kept: list[int]) -> NDArray[np.uint8]:
    shape = (len(kept), *pixels.shape[1:])
    compact = allocate(folder / "kept.npy", shape, np.uint8)
    for position, index in enumerate(kept):
        compact[position] = pixels[index]
    put_file(folder / "kept.npy", folder / ARRAY)
    return compact

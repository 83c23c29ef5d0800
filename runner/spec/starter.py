"""A short spec for a folder of images, to begin with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.components.data.files import opened
from runner.components.data.joining import join_listings
from runner.components.data.listing import Listing, SharedFolder, list_images
from runner.components.data.split_folders import SplitFolders, split_parts
from runner.components.data.splitting import Split
from runner.core.errors import UsageError
from runner.core.text import printable, storable
from runner.spec.nodes import as_yaml

SMALL_SIDE = 64
FEW = 2000
"""Training images below which batches are small."""

FRACTIONS: Mapping[str, Split] = {"validation": "val", "test": "test"}
TEMPLATE = """\
name: {name}
data: {{dataset: imagefolder, path: {path}{fractions}{size}}}
model: {{name: convnet, filters: {filters}, batch_norm: true}}
train: {{epochs: 20, batch_size: {batch_size}, optimizer: adam}}
seeds: [0, 1]
sweep:
  grid:
    lr: [0.0003, 0.001, 0.003]
    dropout: [0.0, 0.3]
"""


def make_spec(folder: Path, beside: Path, side: int | None = None) -> tuple[str, str]:
    """Return the name and the text of a spec for a folder of class folders, or of splits of them.

    Args:
        folder: holds one folder of images per class, or folders train, val, test that do.
        beside: folder in which the spec will lie; paths are relative to it where they can be.
        side: of the prepared images in pixels; chosen by the images when not given.

    Raises:
        UsageError: when the folder is none, cannot be read, has fewer than two classes, or
            folders that look like splits and cannot be read as such.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}")
    where = _path(folder, beside)
    if storable(where) != where:
        raise UsageError(f"the path {printable(where)} is not UTF-8, and no spec can hold it")
    try:
        listing, splits = _list(folder)
    except SplitFolders as error:
        raise UsageError(str(error), hint=error.hint) from None
    except SharedFolder as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error}") from None
    names, labels = listing.names, listing.labels
    if len(listing.classes) < 2:
        count = "1 class folder" if len(listing.classes) == 1 else "no class folders"
        raise UsageError(f"{folder} has {count} with images", allowed="2 or more")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.resolve().name).lstrip("_.-") or "images"
    side, size = _size(folder, names, side)
    training = [label for label, split in zip(labels, splits, strict=True) if split == "train"]
    fraction = 0.2 if _fits(training, len(listing.classes)) else 0.5
    drawn = [name for name, split in FRACTIONS.items() if split not in splits]
    blocks = max(1, min(3, side.bit_length() - 3))
    text = TEMPLATE.format(
        name=as_yaml(name),
        path=as_yaml(where),
        fractions="".join(f", {name}: {fraction}" for name in drawn),
        size=size,
        filters=[16 * 2**block for block in range(blocks)],
        batch_size=32 if len(training) < FEW else 128,
    )
    return name, text


def _list(folder: Path) -> tuple[Listing, Sequence[Split]]:
    """Return the images of a folder, and the split of each: training, where it has no splits.

    Raises:
        SplitFolders: when folders look like splits and cannot be read as such.
        SharedFolder: when a folder belongs to two classes.
        OSError: when a folder cannot be read.
    """
    folders = split_parts(folder, str(folder))
    if not folders:
        listing = list_images(folder)
        return listing, ["train"] * len(listing.names)
    listings = {split: list_images(folder / name) for split, name in folders.items()}
    return join_listings(listings, folders, str(folder))


def _fits(labels: Sequence[int], num_classes: int) -> bool:
    """Return whether a fifth of the images has room for every class."""
    return 0.16 * len(labels) >= num_classes and min(Counter(labels).values()) >= 5


def _path(folder: Path, beside: Path) -> str:
    absolute = folder.resolve()
    try:
        return absolute.relative_to(beside.resolve()).as_posix()
    except ValueError:
        return absolute.as_posix()


def _size(folder: Path, names: Sequence[str], asked: int | None) -> tuple[int, str]:
    """Return the side of the prepared images, and the settings that make them so."""
    sizes = set()
    for name in names:
        try:
            with (folder / name).open("rb") as file, opened(file) as image:
                sizes.add(image.size)
        except OSError:
            continue
    if not sizes:
        raise UsageError(f"no image under {folder} can be opened")
    smallest = min(min(size) for size in sizes)
    if asked is None and len(sizes) == 1 and max(next(iter(sizes))) <= SMALL_SIDE:
        return smallest, ""
    side = asked or min(SMALL_SIDE, max(16, smallest))
    return side, f", resize: {side}, crop: {side}"

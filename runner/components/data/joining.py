"""Several folders of class folders as the splits of one data set.

Owns which classes there are, what images are called, and what identifies the whole. Knows neither
settings nor what the folders are called.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from runner.components.data.dataset import ImageSource
from runner.components.data.listing import Listing, enumerated
from runner.components.data.split_folders import SplitFolders
from runner.components.data.splitting import SPLITS, Split
from runner.core.errors import nearest
from runner.core.keys import content_key
from runner.core.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

WORDS: Mapping[Split, str] = {"train": "training", "val": "validation", "test": "test"}
SAME_CLASSES = "give each split the same class folders"

Folders = Mapping[Split, str]
"""What the names of a split's images begin with, for each split that there is."""


def join_listings(
    listings: Mapping[Split, Listing], folders: Folders, where: str, hint: str = SAME_CLASSES
) -> tuple[Listing, tuple[Split, ...]]:
    """Return the images of all splits, training images first, and the split of each.

    The classes are those of the training images.

    Args:
        listings: of the class folders of each split, train among them.
        folders: of the splits.
        where: what the splits lie in, for messages.
        hint: what to do where the classes of splits are others.

    Raises:
        SplitFolders: when a class has no training images.
    """
    classes = listings["train"].classes
    _refuse_other_classes(listings, folders, where, hint)
    order = [split for split in SPLITS if split in listings]
    names, labels = [], []
    for split in order:
        listing = listings[split]
        numbers = [classes.index(name) for name in listing.classes]
        names += [f"{folders[split]}/{name}" for name in listing.names]
        labels += [numbers[label] for label in listing.labels]
    notes = [note for split in order for note in listings[split].notes]
    labels_of = {
        split: [listings[split].classes[label] for label in listings[split].labels]
        for split in order
    }
    notes += split_notes(labels_of, classes, folders, where)
    joined = Listing(tuple(names), tuple(labels), classes, notes=tuple(notes))
    return joined, tuple(split for split in order for _ in listings[split].names)


def join_sources(
    sources: Mapping[Split, ImageSource],
    joined: Listing,
    splits: Sequence[Split],
    folders: Folders,
    root: Path | None,
) -> ImageSource:
    """Return the splits of one data set as one source.

    Args:
        sources: of each split.
        joined: their listings, joined.
        splits: the split of each image of ``joined``.
        folders: of the splits.
        root: where ``joined`` lies, or None where its splits lie apart.
    """
    order = [split for split in SPLITS if split in sources]
    ends = list(accumulate(len(sources[split].names) for split in order))

    def read(index: int) -> Image:
        part = bisect_right(ends, index)
        return sources[order[part]].read(index - (ends[part - 1] if part else 0))

    identity = [[split, folders[split], sources[split].fingerprint] for split in order]
    return ImageSource(
        names=tuple(map(printable, joined.names)),
        labels=joined.labels,
        classes=joined.classes,
        splits=tuple(splits),
        fingerprint=content_key("fingerprint", {"splits": identity}),
        read=read,
        root=root,
        notes=joined.notes,
        digests=tuple(digest for split in order for digest in sources[split].digests),
    )


def _refuse_other_classes(
    listings: Mapping[Split, Listing], folders: Folders, where: str, hint: str
) -> None:
    classes = listings["train"].classes
    lines, near = [], []
    for split, listing in listings.items():
        unknown = [name for name in listing.classes if name not in classes]
        if unknown:
            lines.append(
                f"    in {folders[split]}, not in {folders['train']}: {enumerated(unknown)}"
            )
            near += [(name, nearest(name, classes)) for name in unknown]
    if lines:
        found = f"the splits of {where} do not have the same classes"
        similar = [f"{name} looks like {other}" for name, other in near if other]
        lines += [f"    {enumerated(similar)}"] if similar else []
        raise SplitFolders("\n".join([found, *lines]), hint)


def split_notes(
    labels: Mapping[Split, Sequence[str]],
    classes: Sequence[str],
    called: Mapping[Split, str],
    where: str,
) -> Iterator[str]:
    """Yield notes on how splits are read, and on what some of them lack.

    Args:
        labels: of the images of each split, in the order of splits.
        classes: of the training images.
        called: what splits are called where not by their own names.
        where: what they lie in.
    """
    names = {split: called.get(split, split) for split in labels}
    counts = [f"{names[split]} ({_count(len(own), split)})" for split, own in labels.items()]
    drawn = [WORDS[split] for split in SPLITS if split not in labels]
    number = f"{len(classes)} class{'' if len(classes) == 1 else 'es'}"
    yield (
        f"splits of {where}: {', '.join(counts)}; {number}: {enumerated(classes)}"
        + (f"; {' and '.join(drawn)} images are drawn from {names['train']}" if drawn else "")
    )
    for split, own in labels.items():
        there = set(own)
        lacking = [name for name in classes if name not in there]
        if lacking:
            yield f"{where}: {names[split]} has no images of {enumerated(lacking)}"


def _count(total: int, split: Split) -> str:
    return f"{total} {WORDS[split]} image{'' if total == 1 else 's'}"

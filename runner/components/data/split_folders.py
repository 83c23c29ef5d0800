"""Folders that are called like splits: which split each is, or why that cannot be told.

Owns these names, the reading of a folder as splits or as classes, and the refusal, which shows
both. Looks at names only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.components.data.invalid import InvalidData
from runner.components.data.listing import Listing, enumerated, folder_names, list_images
from runner.components.data.splitting import SPLITS, Split
from runner.core.text import printable

SPLIT_OF: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


class SplitFolders(InvalidData):
    """Folders that can be read as splits and as classes, or whose splits do not go together."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a folder looks like.

    Attributes:
        listing: of all folders below it, read as classes.
        parts: those that are called like splits.
        others: the other ones.
        inside: folders of images in each part.
        loose: how many images lie in a part itself, for parts with some.
    """

    listing: Listing
    parts: list[str]
    others: list[str]
    inside: dict[str, set[str]]
    loose: dict[str, int]

    @property
    def classes(self) -> list[str]:
        """The classes, where the parts are splits."""
        return sorted(set().union(*self.inside.values()))

    def by_split(self, parts: Collection[str]) -> dict[Split, str]:
        """Return the first of some parts for each split, in the order of splits."""
        named = {SPLIT_OF[part.lower()]: part for part in sorted(parts, reverse=True)}
        return {split: named[split] for split in SPLITS if split in named}

    def looks_split(self) -> bool:
        """Return whether the parts may be meant as splits.

        They may when two or more are called so; a single one when it is alone, or contains folders
        of images with names of the other classes.
        """
        if len(self.parts) == 1 and self.others:
            return not set(self.others).isdisjoint(self.classes)
        return bool(self.parts)

    def why_not_splits(self) -> str:
        """Return why the parts cannot be read as splits, or ""."""
        if self.others:
            are = "is" if len(self.others) == 1 else "are"
            return f"{enumerated(self.others)} {are} not called like a split"
        if not self.classes:
            return f"the images lie in {enumerated(self.parts)} themselves"
        if self.loose:
            counts = [f"{_images(count)} in {part} itself" for part, count in self.loose.items()]
            return f"outside of class folders are {enumerated(counts)}"
        names: dict[Split, list[str]] = {}
        for part in self.parts:
            names.setdefault(SPLIT_OF[part.lower()], []).append(part)
        for split, same in names.items():
            if len(same) > 1:
                return f"{' and '.join(same)} are both called {split}"
        return "" if "train" in names else "none of them is called train"


def _read(listing: Listing) -> _Reading:
    parts = [name for name in listing.classes if name.lower() in SPLIT_OF]
    inside: dict[str, set[str]] = {part: set() for part in parts}
    loose: dict[str, int] = {}
    for name in listing.names:
        part, *rest = name.split("/")
        if part in inside:
            if len(rest) > 1:
                inside[part].add(printable(rest[0]))
            else:
                loose[part] = loose.get(part, 0) + 1
    others = [name for name in listing.classes if name not in inside]
    return _Reading(listing, parts, others, inside, loose)


def split_parts(root: Path, given: str, include: Collection[str] | None = None) -> dict[Split, str]:
    """Return the folders below ``root`` that are its splits; empty where they are its classes.

    They are splits when all folders with images are called so, train is among them, no split has
    two, and all images lie in class folders within them.

    Args:
        root: the folder.
        given: how a spec names it.
        include: names of classes: where they are folders below ``root``, these are classes.

    Raises:
        SplitFolders: when folders look like splits and cannot be read as such.
        SharedFolder: when a folder belongs to two splits.
        OSError: when a folder cannot be read.
    """
    folders = folder_names(root)
    if not any(name.lower() in SPLIT_OF for name in folders):
        return {}
    if include is not None and set(include).issubset(folders):
        return {}
    reading = _read(list_images(root))
    if not reading.looks_split():
        return {}
    wanted = set(include or ())
    if not wanted.issubset(reading.classes) and not wanted.isdisjoint(folders):
        return {}
    if reading.why_not_splits():
        raise _refusal(reading, root, given)
    return reading.by_split(reading.parts)


def refuse_splits(listing: Listing, root: Path, given: str) -> None:
    """Refuse class folders that look like splits, where only classes can be meant.

    Args:
        listing: of all class folders.
        root: the folder that was listed.
        given: how it was named.

    Raises:
        SplitFolders: when they do.
    """
    reading = _read(listing)
    if reading.looks_split():
        raise _refusal(reading, root, given)


def _refusal(reading: _Reading, root: Path, given: str) -> SplitFolders:
    listing, parts, others = reading.listing, reading.parts, reading.others
    beside = f" (beside them: {enumerated(others)})" if others else ""
    counts = [
        f"{name} ({_images(listing.labels.count(label))})"
        for label, name in enumerate(listing.classes)
    ]
    why = reading.why_not_splits()
    found = (
        f"class folders under {root} look like the parts of a split: {enumerated(parts)}{beside}\n"
        f"    read as classes: {_classes(len(counts))}: {enumerated(counts)}\n"
        f"    read as splits: {_read_as_splits(reading)}{f'; but {why}' if why else ''}"
    )
    return SplitFolders(
        found, f"{_ways_out(reading, given.rstrip('/'))}, or {insist(listing.classes)}"
    )


def insist(folders: Collection[str]) -> str:
    """Return what to write so that folders are classes, whatever they are called."""
    return f"include: [{enumerated(folders)}] to say that these are the classes"


def _ways_out(reading: _Reading, given: str) -> str:
    """Return what to write so that parts are splits, or one of them is all there is."""
    usable = reading.by_split([part for part in reading.parts if reading.inside[part]])
    if not usable:
        return "make one folder of images for each class"
    first = next(iter(usable.values()))
    alone = f"path: {given}/{first} to use that part alone"
    if "train" not in usable or len(usable) == 1:
        return f"write {alone}"
    mapping = ", ".join(f"{split}: {given}/{part}" for split, part in usable.items())
    return f"write path: {{{mapping}}} to use these splits, {alone}"


def _read_as_splits(reading: _Reading) -> str:
    inside, classes = reading.inside, reading.classes
    parts = enumerated(list(inside))
    if not classes:
        return "no classes"
    each = "each of " if all(len(found) == len(classes) for found in inside.values()) else ""
    return f"{_classes(len(classes))}: {enumerated(classes)}; in {each}{parts}"


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _classes(count: int) -> str:
    return f"{count} class{'' if count == 1 else 'es'}"

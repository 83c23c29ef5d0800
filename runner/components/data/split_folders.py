"""Class folders that look like the parts of a split: train, val, test.

Owns these names and the refusal, which shows both readings of the folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.components.data.listing import Listing, enumerated

SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing")


class SplitFolders(ValueError):
    """Class folders with names of splits.

    Attributes:
        hint: what to write for either reading.
    """

    def __init__(self, found: str, hint: str) -> None:
        super().__init__(found)
        self.hint = hint


def refuse_splits(listing: Listing, root: Path, given: str) -> None:
    """Refuse class folders that look like the parts of a split.

    They do when two or more have such names; a single one does when it is alone, or contains
    folders of images with names of the other classes.

    Args:
        listing: of all class folders.
        root: the folder that was listed.
        given: how a spec names it.

    Raises:
        SplitFolders: when they do.
    """
    parts = [name for name in listing.classes if name.lower() in SPLIT_NAMES]
    others = [name for name in listing.classes if name not in parts]
    inside = {part: _folders_in(part, listing.names) for part in parts}
    classes = sorted(set().union(*inside.values()))
    if not parts or (len(parts) == 1 and others and not set(others).intersection(classes)):
        return
    beside = f" (beside them: {enumerated(others)})" if others else ""
    counts = [
        f"{name} ({_images(listing.labels.count(label))})"
        for label, name in enumerate(listing.classes)
    ]
    found = (
        f"class folders under {root} look like the parts of a split: {enumerated(parts)}{beside}\n"
        f"    read as classes: {_classes(len(counts))}: {enumerated(counts)}\n"
        f"    read as parts: {_read_as_parts(inside, classes)}"
    )
    usable = [name for name in parts if inside[name]]
    part = next((name for name in usable if name.lower().startswith("train")), "".join(usable[:1]))
    alone = (
        f"write path: {given.rstrip('/')}/{part} to use that part alone,"
        if part
        else "make one folder of images for each class,"
    )
    include = f"include: [{enumerated(listing.classes)}] to say that these are the classes"
    raise SplitFolders(found, f"{alone} or {include}")


def _folders_in(part: str, names: Sequence[str]) -> set[str]:
    """Return the folders of images within a part."""
    pieces = (name.split("/") for name in names)
    return {each[1] for each in pieces if each[0] == part and len(each) > 2}


def _read_as_parts(inside: Mapping[str, set[str]], classes: Sequence[str]) -> str:
    parts = enumerated(list(inside))
    if not classes:
        return f"no classes: the images lie in {parts} themselves"
    each = "each of " if all(len(found) == len(classes) for found in inside.values()) else ""
    return f"{_classes(len(classes))}: {enumerated(classes)}; in {each}{parts}"


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _classes(count: int) -> str:
    return f"{count} class{'' if count == 1 else 'es'}"

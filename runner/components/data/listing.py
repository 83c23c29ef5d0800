"""Lists the images in a folder of class folders, without reading any.

Owns the rules: each real folder once, however many links lead to it; regular files only; no hidden
files. Files left out despite an image's name are noted; a folder shared by two classes is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.text import printable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SHOWN = 10
"""Names in a note or an error, before it says how many more there are."""
LEADS_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

Identity = tuple[int, int] | str
"""Device and inode, or the real path where a file system has no inodes."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of class folders.

    Attributes:
        names: relative to the folder, with "/", sorted within each class; they need not be UTF-8.
        labels: index of each image's class.
        classes: printable names of the folders that hold images, sorted.
        broken: those of the names that are links to nothing.
        notes: what was left out or is there twice, for people.
    """

    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    broken: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def choose(self, without: Collection[str] = (), per_class: int | None = None) -> Listing:
        """Return the first ``per_class`` images of each class, without those in ``without``."""
        members: list[list[str]] = [[] for _ in self.classes]
        for name, label in zip(self.names, self.labels, strict=True):
            if name not in without and (per_class is None or len(members[label]) < per_class):
                members[label].append(name)
        kept = [
            (name, images) for name, images in zip(self.classes, members, strict=True) if images
        ]
        names = tuple(name for _, images in kept for name in images)
        return Listing(
            names=names,
            labels=tuple(label for label, (_, images) in enumerate(kept) for _ in images),
            classes=tuple(name for name, _ in kept),
            broken=self.broken.intersection(names),
            notes=self.notes,
        )


class SharedFolder(ValueError):
    """Two classes contain the same real folder, so its images would have two labels."""


class BrokenLinks(OSError):
    """Images that are links to nothing."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        shown = enumerated(sorted(names))
        super().__init__(
            f"links to nothing under {root}: {shown}; remove them, or set data.on_corrupt: skip"
        )


def list_images(
    root: Path, include: Collection[str] | None = None, exclude: Collection[str] = ()
) -> Listing:
    """Return the images in the class folders of ``root``.

    Links are followed, but a real folder is listed once: at its own place where it lies in a class
    folder, else at the first link that leads to it. A folder without images is no class.

    Args:
        root: the folder of class folders.
        include: printable names of the class folders that are looked at; None is all.
        exclude: names of those that are not.

    Raises:
        SharedFolder: when a real folder with images belongs to two classes.
        OSError: when a folder cannot be read.
    """
    folders = [
        entry
        for entry in _entries_of(root)
        if (include is None or printable(entry.name) in include) and entry.name not in exclude
    ]
    walk = _Walk(root, {entry.name: [] for entry in folders})
    walk.enter_all((entry.name, entry.name, entry) for entry in folders)
    members = {name: sorted(images) for name, images in walk.images.items() if images}
    return Listing(
        names=tuple(name for images in members.values() for name in images),
        labels=tuple(label for label, images in enumerate(members.values()) for _ in images),
        classes=tuple(map(printable, members)),
        broken=frozenset(walk.broken),
        notes=tuple(map(printable, walk.notes())),
    )


def class_names(root: Path, exclude: Collection[str] = ()) -> list[str]:
    """Return the names allowed in ``include``: folders with images."""
    names = [printable(entry.name) for entry in _entries_of(root) if entry.name not in exclude]
    return [name for name in names if list_images(root, [name]).names]


def folder_names(root: Path) -> list[str]:
    """Return the printable names of the folders in a folder that are not hidden, sorted.

    Raises:
        OSError: when it cannot be read.
    """
    return [printable(entry.name) for entry in _entries_of(root) if _is_dir(entry)]


def enumerated(names: Iterable[str]) -> str:
    """Return printable names joined by commas; of many, the first few."""
    given = list(map(printable, names))
    more = [f"… and {len(given) - SHOWN} more"] if len(given) > SHOWN else []
    return ", ".join([*given[:SHOWN], *more])


def _entries_of(root: Path) -> list[os.DirEntry[str]]:
    return sorted(_visible(root), key=lambda entry: Path(entry.name))


def _visible(folder: Path | str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


@dataclass
class _Walk:
    """One walk through class folders.

    Attributes:
        root: the folder of class folders.
        images: relative names by class.
        seen: class and relative name of each real folder that was entered.
        links: class and relative name of each linked file, by the file that it leads to.
        again: (class, name, class and name before) of each folder that was met again.
        left_out: relative names of what is no regular file, and what it is.
        broken: relative names of links to nothing that are called like an image.
    """

    root: Path
    images: dict[str, list[str]]
    seen: dict[Identity, tuple[str, str]] = field(default_factory=dict)
    links: dict[Identity, list[str]] = field(default_factory=dict)
    again: list[tuple[str, str, str, str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def enter_all(self, entries: Iterable[tuple[str, str, os.DirEntry[str]]]) -> None:
        """List class folders, given as (class, relative name, entry); links come last."""
        real = self.root.resolve()
        above = {_identity(str(folder)) for folder in (real, *real.parents)}
        waiting = list(entries)
        while waiting:
            folders = [item for item in waiting if not item[2].is_symlink()]
            waiting = [item for item in waiting if item[2].is_symlink()]
            if not folders:
                folders, waiting = waiting[:1], waiting[1:]
            for label, name, entry in folders:
                if not self._is_folder(name, entry):
                    continue
                identity = _identity(entry.path)
                if identity in above:
                    self.left_out[name] = "a link to a folder that holds it"
                elif identity in self.seen:
                    self.again.append((label, name, *self.seen[identity]))
                else:
                    self.seen[identity] = (label, name)
                    waiting += self._enter(label, name, entry.path)
        self._refuse_shared()

    def _is_folder(self, name: str, entry: os.DirEntry[str]) -> bool:
        """Return whether a directory entry is a folder; note broken links."""
        if _is_dir(entry):
            return True
        if "." not in entry.name and entry.is_symlink() and _leads_nowhere(entry):
            self.left_out[name] = "a link to nothing"
        return False

    def _enter(self, label: str, folder: str, path: str) -> list[tuple[str, str, os.DirEntry[str]]]:
        """Add the images of a folder; return its other entries, which may be folders."""
        within = []
        for entry in sorted(_visible(path), key=lambda entry: entry.name):
            name = f"{folder}/{entry.name}"
            is_image = entry.name.lower().endswith(IMAGE_SUFFIXES)
            if _is_dir(entry) or (entry.is_symlink() and not is_image):
                within.append((label, name, entry))
            elif is_image:
                self._take(label, name, entry)
        return within

    def _take(self, label: str, name: str, entry: os.DirEntry[str]) -> None:
        """Add a file with an image's name, if it is a regular file."""
        if entry.is_symlink() and _leads_nowhere(entry):
            self.images[label].append(name)
            self.broken.append(name)
            return
        found = os.stat(entry.path)
        if not stat.S_ISREG(found.st_mode):
            self.left_out[name] = SPECIAL.get(stat.S_IFMT(found.st_mode), "no regular file")
            return
        self.images[label].append(name)
        if entry.is_symlink() or found.st_nlink > 1:
            self.links.setdefault(_identity(entry.path), []).append(name)

    def _holds_images(self, label: str, folder: str) -> bool:
        return any(image.startswith(f"{folder}/") for image in self.images[label])

    def _refuse_shared(self) -> None:
        shared = [
            f"{first} and {name}"
            for label, name, other, first in self.again
            if label != other and self._holds_images(other, first)
        ]
        if shared:
            raise SharedFolder(
                f"the same folder belongs to two classes under {self.root}: {enumerated(shared)}"
            )

    def notes(self) -> tuple[str, ...]:
        """Return notes on what was left out or occurs twice."""
        left_out = {
            name: f"a link to {first}, whose images are there already"
            for label, name, other, first in self.again
            if label == other and self._holds_images(other, first)
        }
        left_out |= self.left_out
        notes = []
        if left_out:
            named = enumerated(f"{name} ({what})" for name, what in sorted(left_out.items()))
            notes.append(f"left out of {self.root}: {named}")
        twice = [" and ".join(sorted(names)) for names in self._of_one_file() if len(names) > 1]
        if twice:
            notes.append(
                f"the same file under several names in {self.root}: {enumerated(sorted(twice))}"
            )
        return tuple(notes)

    def _of_one_file(self) -> Iterable[list[str]]:
        """Yield the names of each file that links lead to."""
        if not self.links:
            return ()
        linked = {name for names in self.links.values() for name in names}
        for images in self.images.values():
            for name in images:
                if name not in linked and name not in self.broken:
                    identity = _identity(str(self.root / name))
                    if identity in self.links:
                        self.links[identity].append(name)
        return self.links.values()


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno in LEADS_NOWHERE:
            return False
        raise


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    try:
        os.stat(entry.path)
    except OSError as error:
        if error.errno in LEADS_NOWHERE:
            return True
        raise
    return False


def _identity(path: str) -> Identity:
    found = os.stat(path)
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)

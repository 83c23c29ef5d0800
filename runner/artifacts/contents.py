"""What lies in `.runner/`, by kind, and how it is cleared.

Owns the kinds that users see, with what each is for. Knows no database: whose things stay is said
by identities.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.artifacts.folder import CODE, HASHES, LAYOUTS, OF_ONE_DATABASE, names_in
from runner.core.errors import UsageError

KINDS = {
    "pixels": "decoded images",
    "features": "outputs of frozen layers for all images",
    "changed": "images that analyses of robustness changed",
    "states": "trainings that others may go on from",
    "checkpoints": "trainings and analyses that were interrupted",
    "weights": "of each run's best or last epoch",
    "logits": "what kept weights say of images",
    "analyses": "arrays of analyses, for pictures",
    HASHES: "of files that were read before",
    LAYOUTS: "shapes of networks and digests of weights",
    CODE: "digests of the modules of components and engine",
}

PUT_MEANWHILE = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST)
"""Errors of removing a folder into which one who plans, and holds no lock, has just written."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What one kind of things takes in ``.runner/``.

    Attributes:
        kind: its folder or file.
        about: what it is.
        count: of files.
        num_bytes: of all of them.
    """

    kind: str
    about: str
    count: int
    num_bytes: int


def contents(folder: Path) -> list[Contents]:
    """Return what lies in ``.runner/``, by kind, of all databases beside it."""
    return [_contents(kind, [folder / kind]) for kind in KINDS]


def clear(folder: Path, kinds: Iterable[str], others: Collection[str]) -> list[Contents]:
    """Remove kinds of things from ``.runner/``; return what was removed.

    Args:
        folder: ``.runner/``, held alone.
        kinds: of them.
        others: identities of databases whose states, checkpoints, weights,
            logits and analyses stay.

    Raises:
        UsageError: before anything is removed, when one of the kinds is a link: it may lead to what
            is no part of ``.runner/``.
    """
    kinds, removed = list(kinds), list[Contents]()
    for linked in (folder / kind for kind in kinds):
        if linked.is_symlink():
            found = f"{linked} is a link to {os.path.realpath(linked)}; nothing was removed"
            raise UsageError(found, hint="remove the link, and by hand what lies there")
    for kind in kinds:
        homes = _homes(folder / kind, others if kind in OF_ONE_DATABASE else ())
        taken = _contents(kind, homes)
        for home in homes:
            _remove(home)
        if taken.count:
            removed.append(taken)
    return removed


def _remove(home: Path) -> None:
    """Remove a file or folder, whatever others put there or rename meanwhile."""
    if not home.is_dir():
        home.unlink(missing_ok=True)
    while home.is_dir():
        try:
            shutil.rmtree(home)
        except OSError as error:
            if error.errno not in PUT_MEANWHILE:
                raise


def _homes(home: Path, others: Collection[str]) -> list[Path]:
    """Return the folders, or the file, that clearing a kind removes."""
    inside = [home / name for name in names_in(home)] if others else []
    if not any(each.name in others for each in inside):
        return [home]
    return [each for each in inside if each.name not in others]


def _contents(kind: str, homes: Iterable[Path]) -> Contents:
    """Return what some files and folders of one kind take."""
    sizes = [size for home in homes for size in _sizes(home)]
    return Contents(kind, KINDS[kind], len(sizes), sum(sizes))


def _sizes(home: Path) -> Iterator[int]:
    """Yield the size of a file, or of all files in a folder, in bytes."""
    inside = (Path(folder) / name for folder, _, names in os.walk(home) for name in names)
    for path in [home] if home.is_file() else inside:
        with contextlib.suppress(FileNotFoundError):  # a run has just removed or renamed it
            yield path.stat().st_size

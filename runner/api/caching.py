"""The verb `cache`: what lies in `.runner/`, and removing it.

Everything there can be made again, weights of finished runs by repeating them; results are in the
database.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.artifacts.lock import exclusive
from runner.bind.workspace import Workspace, workspace
from runner.core.errors import UsageError, nearest
from runner.store.database import identity_in
from runner.store.running import held_stages

KINDS = {
    "pixels": "decoded images",
    "features": "outputs of frozen layers for all images",
    "states": "trainings that others may go on from",
    "checkpoints": "trainings that were interrupted",
    "weights": "of each run's best epoch",
    "hashes": "of files that were read before",
    "layouts.json": "shapes of networks and digests of weights",
    "code.json": "digests of the modules of components and engine",
}

OF_ONE_DATABASE = ("states", "checkpoints", "weights")
"""Kinds that lie in a folder for each database, named by its identity."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one kind of things takes in ``.runner/``.

    Attributes:
        kind: its folder.
        about: what it is.
        count: of files.
        num_bytes: of all of them.
    """

    kind: str
    about: str
    count: int
    num_bytes: int


def list_cache(db: str | Path | None = None) -> list[Kept]:
    """Return what lies in ``.runner/``, by kind, of all databases beside it.

    Args:
        db: the database beside which it lies; results.db when not given.
    """
    folder = workspace(db).folder
    return [_kept(kind, [folder / kind]) for kind in KINDS]


def _kept(kind: str, homes: Iterable[Path]) -> Kept:
    """Return what some files and folders of one kind take."""
    sizes = [size for home in homes for size in _sizes(home)]
    return Kept(kind, KINDS[kind], len(sizes), sum(sizes))


def _sizes(home: Path) -> Iterator[int]:
    """Yield the size of a file, or of all files in a folder, in bytes."""
    inside = (Path(folder) / name for folder, _, names in os.walk(home) for name in names)
    for path in [home] if home.is_file() else inside:
        with contextlib.suppress(FileNotFoundError):  # a run has just removed or renamed it
            yield path.stat().st_size


def clear_cache(kinds: Sequence[str], db: str | Path | None = None) -> list[Kept]:
    """Remove kinds of things from ``.runner/``; return what was removed.

    Pixels and features are shared by all databases beside it; states, checkpoints and weights of
    the other databases stay.

    Args:
        kinds: of them; all when none is given.
        db: the database beside which it lies; results.db when not given.

    Raises:
        UsageError: for an unknown kind, or while a run is at work, on whatever database beside it.
    """
    place = workspace(db)
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(
                f"nothing is called '{kind}'",
                allowed=", ".join(KINDS),
                suggestion=nearest(kind, list(KINDS)),
            )
    _refuse_at_work(place)
    removed = []
    with exclusive(place.folder):
        for kind in kinds or KINDS:
            homes = _homes(place, kind)
            kept = _kept(kind, homes)
            for home in homes:
                if home.is_dir():
                    shutil.rmtree(home)
                else:
                    home.unlink(missing_ok=True)
            if kept.count:
                removed.append(kept)
    return removed


def _homes(place: Workspace, kind: str) -> list[Path]:
    """Return the folders, or the file, that clearing a kind removes."""
    home = place.folder / kind
    if kind not in OF_ONE_DATABASE or not home.is_dir():
        return [home]
    mine = Path(place.database_path)
    others = {
        identity_in(path)
        for path in place.folder.parent.iterdir()
        if path.is_file() and not (mine.is_file() and path.samefile(mine))
    }
    if not any(each.name in others for each in home.iterdir()):
        return [home]
    return [each for each in home.iterdir() if each.name not in others]


def _refuse_at_work(place: Workspace) -> None:
    if not place.has_database():
        return
    with place.open(create=False) as database:
        if held_stages(database, alive=True):
            raise UsageError(
                f"a run is at work on {place.database_path}", hint="stop it, or wait for its end"
            )

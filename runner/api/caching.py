"""The verb `cache`: what lies in `.runner/`, and removing it.

Everything there can be made again; results are in the database.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.api.workspace import Workspace, workspace
from runner.core.errors import UsageError, nearest
from runner.store.facts import held_stages

KINDS = {
    "pixels": "decoded images",
    "features": "outputs of frozen layers for all images",
    "states": "trainings that others may go on from",
    "checkpoints": "trainings that were interrupted",
    "weights": "of each run's best epoch",
    "hashes": "of files that were read before",
    "layouts.json": "shapes of networks and digests of weights",
}


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
    """Return what lies in ``.runner/``, by kind.

    Args:
        db: the database beside which it lies; results.db when not given.
    """
    folder = workspace(db).folder
    kept = []
    for kind, about in KINDS.items():
        home = folder / kind
        files = [home] if home.is_file() else [each for each in home.rglob("*") if each.is_file()]
        kept.append(Kept(kind, about, len(files), sum(each.stat().st_size for each in files)))
    return kept


def clear_cache(kinds: Sequence[str], db: str | Path | None = None) -> list[Kept]:
    """Remove kinds of things from ``.runner/``; return what was removed.

    Args:
        kinds: of them; all when none is given.
        db: the database beside which it lies; results.db when not given.

    Raises:
        UsageError: for an unknown kind, or while a run is at work on the database.
    """
    place = workspace(db)
    for kind in kinds:
        if kind not in KINDS:
            suggestion = nearest(kind, list(KINDS))
            hint = f"\n    did you mean: {suggestion}" if suggestion else ""
            raise UsageError(f"nothing is called '{kind}'{hint}\n    allowed: {', '.join(KINDS)}")
    _refuse_at_work(place)
    chosen = kinds or tuple(KINDS)
    removed = [each for each in list_cache(db) if each.kind in chosen and each.count]
    for each in removed:
        path = place.folder / each.kind
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return removed


def _refuse_at_work(place: Workspace) -> None:
    if "://" in place.database_path or not Path(place.database_path).is_file():
        return
    database = place.open(create=False)
    try:
        if held_stages(database, alive=True):
            raise UsageError(
                f"a run is at work on {place.database_path}; stop it, or wait for its end"
            )
    finally:
        database.close()

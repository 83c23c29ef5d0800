"""The verb `cache`: what lies in `.runner/`, and removing it.

Everything there can be made again, weights of finished runs by repeating them; results are in the
database.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.artifacts.contents import KINDS, Contents, clear, contents
from runner.artifacts.lock import exclusive
from runner.bind.workspace import Workspace, workspace
from runner.core.errors import UsageError, nearest
from runner.store.database import identity_in
from runner.store.running import held_stages


def list_cache(db: str | Path | None = None) -> list[Contents]:
    """Return what lies in ``.runner/``, by kind, of all databases beside it.

    Args:
        db: the database beside which it lies; results.db when not given.
    """
    return contents(workspace(db).folder)


def clear_cache(kinds: Sequence[str], db: str | Path | None = None) -> list[Contents]:
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
    with exclusive(place.folder):
        return clear(place.folder, kinds or KINDS, _other_databases(place))


def _other_databases(place: Workspace) -> set[str]:
    """Return the identities of the databases beside ``.runner/`` but the one that is cleared."""
    mine = Path(place.database_path)
    beside = place.folder.parent
    return {
        identity
        for path in (beside.iterdir() if place.folder.is_dir() else ())
        if path.is_file()
        and not (mine.is_file() and path.samefile(mine))
        and (identity := identity_in(path)) is not None
    }


def _refuse_at_work(place: Workspace) -> None:
    if not place.has_database():
        return
    with place.open(create=False) as database:
        if held_stages(database, alive=True):
            raise UsageError(
                f"a run is at work on {place.database_path}", hint="stop it, or wait for its end"
            )

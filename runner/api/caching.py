"""The verb `cache`: what lies in `.runner/` or where machines share it, and removing it.

Everything there can be made again, weights of finished runs by repeating them; results are in the
database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from runner.api.frames import Framed
from runner.artifacts.contents import KINDS, Contents, clear, contents
from runner.artifacts.folder import Artifacts
from runner.artifacts.lock import exclusive
from runner.artifacts.servers import remembered_servers
from runner.artifacts.shared_contents import clear_shared, shared_contents
from runner.bind.workspace import REFERENCE, Workspace, workspace
from runner.core.errors import UsageError, nearest
from runner.store.addresses import ServerDatabase, address_of
from runner.store.files import identity_in
from runner.store.running import held_stages

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class CacheContents(Framed):
    """What lies in ``.runner/``, or what was removed from it, by kind."""

    kinds: tuple[Contents, ...]

    def frame(self) -> pd.DataFrame:
        """Return a row per kind: columns kind, about, count (of files), num_bytes."""
        import pandas as pd

        columns = [field.name for field in fields(Contents)]
        return pd.DataFrame([astuple(kind) for kind in self.kinds], columns=columns)


def list_cache(db: str | Path | None = None, artifacts: str | None = None) -> CacheContents:
    """Return what lies in ``.runner/``, by kind, of all databases beside it.

    Args:
        db: the database beside which it lies; results.db when not given.
        artifacts: where artifacts are shared: what lies there of this database and for all of
            them, in place of ``.runner/``.

    Raises:
        UsageError: when there is no such place, or it cannot be read.
    """
    if artifacts is None:
        return CacheContents(tuple(contents(workspace(db, artifacts="").folder)))
    with _shared(workspace(db, artifacts=artifacts)) as stored:
        return CacheContents(tuple(shared_contents(stored)))


def clear_cache(
    kinds: Sequence[str] = (), db: str | Path | None = None, artifacts: str | None = None
) -> CacheContents:
    """Remove kinds of things from ``.runner/``; return what was removed.

    Pixels, features and changed images are shared by all databases beside it; states, checkpoints,
    weights, logits and analyses of the other databases stay.

    Args:
        kinds: of them; all when none is given.
        db: the database beside which it lies; results.db when not given.
        artifacts: where artifacts are shared: they are removed there, in place of ``.runner/``.

    Raises:
        UsageError: for an unknown kind, or while a run is at work, on whatever database beside it;
            when there is no such place, or it cannot be reached.
        StoreBusy: when a database beside it is locked: what belongs to it is not known.
    """
    home = workspace(db, artifacts="" if artifacts is None else artifacts)
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(
                f"nothing is called '{kind}'",
                allowed=", ".join(KINDS),
                suggestion=nearest(kind, list(KINDS)),
            )
    _refuse_at_work(home)
    if artifacts is not None:
        with _shared(home) as stored:
            return CacheContents(tuple(clear_shared(stored, kinds or KINDS)))
    with exclusive(home.folder):
        return CacheContents(tuple(clear(home.folder, kinds or KINDS, _other_databases(home))))


@contextmanager
def _shared(home: Workspace) -> Iterator[Artifacts]:
    """Give the artifacts of a database, where they are shared.

    Raises:
        UsageError: when there is no such place; behind the block, when it could not be reached.
    """
    with home.open_existing() as database:
        stored = home.artifacts(database)
        if stored.shared is None:
            raise UsageError("no place is named where artifacts are shared", hint="--artifacts")
        yield stored
        if notes := stored.shared.notes():
            raise UsageError("; ".join(notes))


def _other_databases(home: Workspace) -> set[str]:
    """Return the identities of the databases beside ``.runner/`` but the one that is cleared."""
    is_reference = home.database_path == REFERENCE
    address = home.folder if is_reference else address_of(home.database_path)
    servers = remembered_servers(home.folder)
    if isinstance(address, ServerDatabase) and home.has_database():
        with home.open(create=False) as database:
            servers.discard(database.identity())
    cleared = address if isinstance(address, Path) else home.folder
    beside = home.folder.parent
    return servers | {
        identity
        for path in (beside.iterdir() if home.folder.is_dir() else ())
        if path.is_file()
        and not _is_same(path, cleared)
        and (identity := identity_in(path)) is not None
    }


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two paths lead to one file; the log of another database may just vanish."""
    with suppress(FileNotFoundError):
        return path.samefile(other)
    return False


def _refuse_at_work(home: Workspace) -> None:
    if not home.has_database():
        return
    with home.open(create=False) as database:
        if held_stages(database, alive=True):
            raise UsageError(
                f"a run is at work on {home.database_name}", hint="stop it, or wait for its end"
            )

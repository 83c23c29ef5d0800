"""Where things lie for one invocation: database, `.runner/`, data, artifacts of other machines.

Owns the defaults: results.db in the current folder, `.runner/` beside it (for a server's database
in the current folder), data from --data or
RUNNER_DATA, data/ in the current folder, the current folder, or beside the spec; what is downloaded
goes to the first of these; artifacts are shared where --artifacts, RUNNER_ARTIFACTS or
`[tool.runner] artifacts` says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.artifacts.folder import Artifacts, folder_beside, hashes_folder, transparent_file
from runner.artifacts.hashes import HashCache
from runner.artifacts.memory import LayoutCache
from runner.artifacts.places import check_address
from runner.artifacts.servers import remember_server
from runner.artifacts.shared import Shared, shared_at
from runner.bind.project import PROJECT, SECTION, project_setting
from runner.components.data.archives import Fetch, Fetchable
from runner.components.data.dataset import DataAccess
from runner.components.download import OnProgress
from runner.core.errors import UsageError
from runner.store.addresses import ServerDatabase, address_of, is_there
from runner.store.database import Database, has_results, open_database
from runner.store.network_files import notes_of_place
from runner.store.reference import is_reference_file, open_reference

DEFAULT_DATABASE = "results.db"
REFERENCE = "reference://"
"""Stands for the reference results where a database is asked for."""
DATA_VARIABLE = "RUNNER_DATA"
DEFAULT_DATA = "data"
ARTIFACTS_VARIABLE = "RUNNER_ARTIFACTS"


@dataclass(frozen=True)
class Workspace:
    """The paths of one invocation.

    Attributes:
        database_path: a file, the URL of a server's database (with its password, if one was
            given), or :data:`REFERENCE`.
        folder: ``.runner/``: caches, checkpoints and artifacts.
        data: the data root that was given, or None.
        address: where artifacts are shared with other machines, "" where they are not.
    """

    database_path: str = field(repr=False)
    folder: Path
    data: Path | None
    address: str = ""

    def has_database(self) -> bool:
        """Return whether there is a database to read.

        Raises:
            UsageError: when the path is something else.
        """
        if self.database_path == REFERENCE:
            return True
        address = address_of(self.database_path)
        return has_results(address) if isinstance(address, ServerDatabase) else is_there(address)

    @property
    def database_name(self) -> str:
        """The database as it may be printed: without password."""
        is_reference = self.database_path == REFERENCE
        return REFERENCE if is_reference else str(address_of(self.database_path))

    def place_notes(self) -> list[str]:
        """Return what a person should know of where the database lies."""
        return [] if self.database_path == REFERENCE else notes_of_place(self.database_path)

    def open(self, create: bool = True, check: bool = True) -> Database:
        """Open the database; see :func:`runner.store.database.open_database`.

        The reference is open for reading only.
        """
        if self.database_path == REFERENCE:
            return open_reference(check)
        database = open_database(self.database_path, create, check=check)
        if create and isinstance(database.address, ServerDatabase):
            remember_server(self.folder, database.identity(), str(database.address))
        return database

    def fixed(self) -> Workspace:
        """Return the same workspace for use from any current folder."""
        if "://" in self.database_path:
            return self
        return replace(self, database_path=str(Path(self.database_path).absolute()))

    @contextmanager
    def open_existing(self) -> Iterator[Database | None]:
        """Open the database while entered, or nothing where there is none yet.

        Raises:
            UsageError: when the path is something else.
        """
        if not self.has_database():
            yield None
            return
        with self.open(create=False) as database:
            yield database

    def data_access(self, spec: Path, on_progress: OnProgress | None = None) -> DataAccess:
        """Return where the data sets of a spec may lie.

        Args:
            spec: the spec's file.
            on_progress: hears of downloads; None where nothing may be downloaded.
        """
        here = Path.cwd()
        given = [] if self.data is None else [self.data]
        roots = dict.fromkeys([*given, here / DEFAULT_DATA, here, spec.resolve().parent])
        hashes = HashCache(hashes_folder(self.folder))
        recall = LayoutCache(transparent_file(self.folder)).recall
        memory = hashes_folder(self.folder)
        fetch = None if on_progress is None else _fetching(on_progress)
        return DataAccess(tuple(roots), hashes.hash_files, fetch, hashes.forget, recall, memory)

    def artifacts(self, database: Database | None) -> Artifacts:
        """Return what the stages of a database leave in ``.runner/``; of none, what all share.

        Raises:
            UsageError: when artifacts are to be shared at what is no such place.
        """
        identity = "" if database is None else database.identity()
        return Artifacts(self.folder, identity, self.shared())

    def shared(self) -> Shared | None:
        """Return the store that is shared with other machines, None where none is.

        Raises:
            UsageError: when there is no such folder or no such file system.
        """
        return shared_at(self.address) if self.address else None

    def notes(self) -> list[str]:
        """Return, once, what a person should know of the store that is shared."""
        shared = self.shared()
        return [] if shared is None else shared.notes()


def _fetching(on_progress: OnProgress) -> Fetch:
    def fetch(public: Fetchable, root: Path) -> None:
        public.fetch(root, on_progress)

    return fetch


def workspace(
    db: str | Path | None = None, data: str | Path | None = None, artifacts: str | None = None
) -> Workspace:
    """Return the paths of an invocation.

    Args:
        db: database file or URL, or :data:`REFERENCE`; results.db in the current folder when not
            given.
        data: folder in which data sets are looked for; RUNNER_DATA when not given.
        artifacts: where artifacts are shared, "" for nowhere; RUNNER_ARTIFACTS or what the project
            says when not given.

    Raises:
        UsageError: for a URL of anything but a SQLite file or a database of PostgreSQL, or what is
            no address for artifacts.
    """
    path, beside = str(db or DEFAULT_DATABASE), Path.cwd()
    if path != REFERENCE:
        database = address_of(path)
        if isinstance(database, ServerDatabase):
            path = database.url
        else:
            path = REFERENCE if is_reference_file(database) else str(database)
            beside = beside if path == REFERENCE else database.absolute().parent
    root = data or os.environ.get(DATA_VARIABLE)
    address = _address() if artifacts is None else artifacts
    if address:
        check_address(address)
        address = address if "://" in address else str(Path(address).expanduser().absolute())
    found = Path(root).absolute() if root else None
    return Workspace(path, folder_beside(beside), found, address)


def _address() -> str:
    """Return where artifacts are shared when nothing is said."""
    if given := os.environ.get(ARTIFACTS_VARIABLE):
        return given
    address = project_setting("artifacts")
    if address is not None and not isinstance(address, str):
        allowed = 'a folder or a URL, as "s3://bucket/folder"'
        raise UsageError(f"{PROJECT}: {SECTION} artifacts is {address!r}", allowed=allowed)
    return address or ""

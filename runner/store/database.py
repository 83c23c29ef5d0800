"""Opening a database with the newest schema: a SQLite file, or one of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import sqlalchemy as sa

from runner.core.errors import StoreUnreachable, UsageError
from runner.core.moments import reached
from runner.store.addresses import (
    Address,
    ServerDatabase,
    address_of,
    is_there,
    is_writable,
)
from runner.store.backend import OWN_DATABASE, Backend, Beside, CommitReader, Result
from runner.store.dialects import POSTGRES, SQLITE, Dialect
from runner.store.failures import in_words
from runner.store.files import FileBackend, reading, writing
from runner.store.integrity import check_whole
from runner.store.postgres import Patience, connect
from runner.store.schema import settings_of_database
from runner.store.sources import copied_to_memory, fits_in_memory, has_log_beside, immutable
from runner.store.sqlite import to_wal
from runner.store.versions import upgrade_from, version_of

HEAD = "0009"
"""The newest migration; a test compares it with the scripts."""

FIRST_RUN = "the first `runner run` makes it"

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def read_again(reading: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Let a function that only reads begin anew where the connection breaks in its middle."""

    @wraps(reading)
    def patiently(*arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
        patience = Patience()
        while True:
            try:
                return reading(*arguments, **named)
            except StoreUnreachable:
                if not patience.wait():
                    raise

    return patiently


class Database:
    """One open database; as a context manager it closes itself."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's engine."""
        return self._backend.engine

    @property
    def address(self) -> Address:
        """Where it is."""
        return self._backend.address

    @property
    def read_only(self) -> bool:
        """Whether writing is an error."""
        return self._backend.read_only

    @property
    def dialect(self) -> Dialect:
        """What it says differently from others."""
        return POSTGRES if isinstance(self.address, ServerDatabase) else SQLITE

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Yield a connection in a reading transaction, which sees one state of the database.

        Raises:
            StoreGone: when it is not there any more.
            StoreUnreachable: when its server does not answer any more.
            DamagedDatabase: when what is read is not what was written.
        """
        return self._backend.read()

    def write(self, beside: Beside = Beside.NOBODY) -> AbstractContextManager[sa.Connection]:
        """Yield a connection in a writing transaction; where it may break, :meth:`transact`.

        Args:
            beside: who else may write meanwhile.

        Raises:
            DiskFull: when it cannot be stored; nothing of it is.
            StoreBusy: when another process holds a lock for longer than ``BUSY_SECONDS``.
            StoreGone: when it is not there any more.
            StoreUnreachable: when its server does not answer any more.
            DamagedDatabase: when what is read is not what was written.
            UsageError: when the database is open for reading only.
        """
        return self._backend.write(beside)

    def transact(
        self,
        body: Callable[[sa.Connection], Result],
        beside: Beside = Beside.NOBODY,
        is_idempotent: bool = False,
    ) -> Result:
        """Return what a function returns that writes; exactly once, or not at all.

        Args:
            body: gets the connection of the transaction. It may be called again where nothing of
                it was stored, so it changes nothing but the database.
            beside: as of :meth:`write`; errors, too.
            is_idempotent: doing it twice stores the same as doing it once.
        """
        return self._backend.transact(body, beside, is_idempotent)

    def commit_reader(self) -> CommitReader:
        """Return a new reader of how far the commits are; to be closed."""
        return self._backend.commit_reader()

    def check(self) -> None:
        """Check that it is still what was opened.

        Raises:
            StoreGone: when its file was removed or replaced.
        """
        self._backend.check()

    def num_bytes(self) -> int:
        """Return what it takes, in bytes."""
        return self._backend.num_bytes()

    @read_again
    def identity(self) -> str:
        """Return the database's own random name."""
        with self.read() as connection:
            return str(connection.execute(sa.select(settings_of_database.c.identity)).scalar_one())

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._backend.close()


def open_database(
    where: str | Path,
    create: bool = True,
    read_only: bool = False,
    check: bool = True,
    is_written: bool = False,
) -> Database:
    """Return the database at a path or URL, with the newest schema.

    Args:
        where: a file, or a URL with "://".
        create: open it for writing, and make it when it is not there; of a server's database, its
            tables. Without, what can be written is migrated all the same; of a file that cannot
            be, or whose folder cannot, an older schema is migrated in a copy in memory.
        read_only: leave it as it is even if it could be written: a file is not migrated or
            switched to WAL, and no file appears beside it.
        check: look for damage; `db check`, which does so itself, goes without.
        is_written: others may write while it is read: a file is copied to memory, if it fits.

    Raises:
        UsageError: when it is not there and must not be made, is not a database of this program, or
            is to be written and cannot be; when its server does not let us in.
        DamagedDatabase: when it is not whole.
    """
    address = address_of(where)
    if isinstance(address, ServerDatabase):
        return _on_server(address, create, read_only, check)
    found = is_there(address)
    if not found and (read_only or not create):
        raise UsageError(f"no database at {address}", hint="" if read_only else FIRST_RUN)
    if found and not create and address.stat().st_size == 0:
        raise UsageError(f"{address} is empty: no database of results")
    if found and not is_writable(address):
        if create and not read_only:
            raise UsageError(
                f"{address} cannot be written: it or its folder is read-only", hint=OWN_DATABASE
            )
        read_only = True
    with in_words(address):
        return (
            _for_reading(address, check, is_written) if read_only else _for_writing(address, check)
        )


def has_results(address: ServerDatabase) -> bool:
    """Return whether a server's database has the tables of this program.

    Raises:
        UsageError: when it cannot be opened, or has those of another.
    """
    with Database(connect(address)) as database:
        return _version_of(database) is not None


def _on_server(address: ServerDatabase, create: bool, read_only: bool, check: bool) -> Database:
    backend = connect(address)
    database = Database(backend)
    try:
        version = _version_of(database)
        if version is None and (read_only or not create):
            raise UsageError(f"there are no results in {address}", hint=FIRST_RUN)
        if version != HEAD and read_only:
            found = f"{address} has schema {version}, not yet {HEAD}"
            raise UsageError(found, hint="any command that may write it brings it up to date")
        if version != HEAD:
            _upgrade(database)
        backend.read_only = read_only
        if check:
            _check(database)
    except BaseException:
        database.close()
        raise
    return database


def _for_writing(path: Path, check: bool) -> Database:
    backend = writing(path)
    database = Database(backend)
    try:
        _migrate(database)
        if check:
            _check(database)
        backend.remember_files()
    except BaseException:
        database.close()
        raise
    return database


def _for_reading(path: Path, check: bool, is_written: bool) -> Database:
    """Open a file and leave it as it is, or a copy of it in memory."""
    backend: FileBackend | None = None
    try:
        if not (has_log_beside(path) or (is_written and fits_in_memory(path))):
            backend = reading(path, immutable(path))
        if backend is None or _version_of(Database(backend)) != HEAD:
            snapshot = copied_to_memory(path)
            if backend is not None:
                backend.close()
            backend = reading(path, snapshot)
            if _version_of(Database(backend)) != HEAD:
                _upgrade(Database(backend))
        backend.read_only = True
        if check:
            _check(Database(backend))
    except BaseException:
        if backend is not None:
            backend.close()
        raise
    return Database(backend)


def _check(database: Database) -> None:
    """Refuse a database that is not whole."""
    with database.read() as connection:
        check_whole(connection, database.address)


def _migrate(database: Database) -> None:
    """Bring the schema to HEAD; processes that do so together wait for one another."""
    version = _version_of(database)
    to_wal(database.engine)
    if version != HEAD:
        _upgrade(database)


def _upgrade(database: Database) -> None:
    """Migrate in one transaction, unless another process has just done it."""

    def upgrade(connection: sa.Connection) -> None:
        version = version_of(connection, database.address, HEAD)
        if version != HEAD:
            upgrade_from(version, connection)
            reached("schema made, not committed")

    # before the first migration there is nowhere to look whether it was committed
    database.transact(upgrade, is_idempotent=True)


def _version_of(database: Database) -> str | None:
    with database.read() as connection:
        return version_of(connection, database.address, HEAD)

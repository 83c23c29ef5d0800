"""Opening a database: connections, transactions, migrations.

Every writing transaction begins with BEGIN IMMEDIATE: with WAL and a busy timeout alone, two
processes that read before they write can both claim one row.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from runner.core.errors import StoreGone, UsageError
from runner.core.moments import reached
from runner.store.addresses import database_file, is_there, is_writable
from runner.store.failures import in_words
from runner.store.integrity import check_whole
from runner.store.schema import settings_of_database
from runner.store.sources import Source, copied_to_memory, has_log_beside, immutable
from runner.store.sqlite import prepare_sqlite, to_json, to_wal
from runner.store.versions import upgrade_from, version_of

HEAD = "0008"
"""The newest migration; a test compares it with the scripts."""

OWN_DATABASE = "name a database of your own with --db"
SQLITE_HEADER = b"SQLite format 3\0"
"""The first bytes of every SQLite file."""


class Database:
    """One open database; as a context manager it closes itself.

    Attributes:
        path: the SQLite file.
        engine: SQLAlchemy's engine.
        read_only: whether writing is an error.
    """

    def __init__(
        self,
        engine: sa.Engine,
        path: Path,
        read_only: bool = False,
        source: Source | None = None,
    ) -> None:
        self.engine = engine
        self.path = path
        self.read_only = read_only
        self._source = source
        self._files: dict[Path, tuple[int, int]] = {}

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection in a reading transaction.

        Raises:
            StoreGone: when the file is not there any more.
            DamagedDatabase: when what is read is not what was written.
        """
        self.check_files()
        with in_words(self.path), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that holds the write lock from its start.

        Raises:
            DiskFull: when it cannot be stored; nothing of it is.
            StoreBusy: when another process holds the lock for longer than ``sqlite.BUSY_SECONDS``.
            StoreGone: when the file is not there any more.
            DamagedDatabase: when what is read is not what was written.
            UsageError: when the database is open for reading only.
        """
        if self.read_only:
            raise UsageError(f"{self.path} is read-only", hint=OWN_DATABASE)
        self.check_files()
        with in_words(self.path), self.engine.connect() as connection:
            writer = connection.execution_options(runner_write=True)
            with writer.begin():
                yield writer
        self.check_files()

    def remember_files(self) -> None:
        """Remember which files these are, for :meth:`check_files`.

        Where it is only read, the log may come and go: who writes last takes it away.
        """
        beside = [] if self.read_only else [self.path.with_name(f"{self.path.name}-wal")]
        self._files = {
            path: found for path in (self.path, *beside) if (found := _file_identity(path))
        }

    def check_files(self) -> None:
        """Check that the file, and the log of what was written last, are those that were opened.

        SQLite would write into removed files without an error.

        Raises:
            StoreGone: when one was removed or replaced.
        """
        for path, known in self._files.items():
            found = _file_identity(path)
            if found != known:
                became = "removed" if found is None else "replaced"
                raise StoreGone(
                    f"{path} was {became} while it was in use: what was recorded since is lost",
                    hint="run the same command again to do it once more",
                )

    def raw_connection(self) -> sqlite3.Connection:
        """Return a connection of its own, for what SQLite tells of the file; to be closed."""
        if self._source is None:
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            return sqlite3.connect(uri, uri=True, check_same_thread=False)
        return sqlite3.connect(self._source.uri, uri=True, check_same_thread=False)

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
        self.engine.dispose()
        if self._source is not None:
            self._source.close()


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_database(
    where: str | Path, create: bool = True, read_only: bool = False, check: bool = True
) -> Database:
    """Return the database at a path or ``sqlite:///`` URL, with the newest schema.

    Args:
        where: a file, or a URL with "://".
        create: open it for writing, and make it when it is not there. Without, a file that can be
            written is migrated all the same; of one that cannot be, or whose folder cannot, an
            older schema is migrated in a copy in memory.
        read_only: leave the file as it is even if it could be written: it is not migrated or
            switched to WAL, and no file appears beside it.
        check: look for damage; `db check`, which does so itself, goes without.

    Raises:
        UsageError: when it is not there and must not be made, is not a database of this program, or
            is to be written and cannot be.
        DamagedDatabase: when it is not whole.
    """
    path = database_file(where)
    found = is_there(path)
    if not found and (read_only or not create):
        hint = "" if read_only else "the first `runner run` makes it"
        raise UsageError(f"no database at {path}", hint=hint)
    if found and not create and path.stat().st_size == 0:
        raise UsageError(f"{path} is empty: no database of results")
    if found and not is_writable(path):
        if create and not read_only:
            raise UsageError(
                f"{path} cannot be written: it or its folder is read-only", hint=OWN_DATABASE
            )
        read_only = True
    with in_words(path):
        if read_only:
            return _for_reading(path, check)
        return _for_writing(path, check)


def _for_writing(path: Path, check: bool) -> Database:
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}") from error
    # mode=rw: a later connection must not make a new file in the place of one that was removed
    uri = f"{path.absolute().as_uri()}?mode=rw"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, check_same_thread=False),
        poolclass=sa.QueuePool,
        json_serializer=to_json,
    )
    prepare_sqlite(engine)
    database = Database(engine, path)
    try:
        _migrate(database)
        if check:
            _check(database)
        database.remember_files()
    except BaseException:
        database.close()
        raise
    return database


def _for_reading(path: Path, check: bool) -> Database:
    """Open a file and leave it as it is, or a copy of it in memory."""
    database = None if has_log_beside(path) else reading(path, immutable(path))
    try:
        if database is None or _version_of(database) != HEAD:
            snapshot = copied_to_memory(path)
            if database is not None:
                database.close()
            database = reading(path, snapshot)
            if _version_of(database) != HEAD:
                _upgrade(database)
        database.read_only = True
        if check:
            _check(database)
    except BaseException:
        if database is not None:
            database.close()
        raise
    return database


def _check(database: Database) -> None:
    """Refuse a database that is not whole."""
    with database.read() as connection:
        check_whole(connection, database.path)


def reading(path: Path, source: Source) -> Database:
    """Return a database that is read from a source; each connection is its own."""
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(source.uri, uri=True),
        poolclass=sa.NullPool,
        json_serializer=to_json,
    )
    prepare_sqlite(engine)
    return Database(engine, path, source=source)


def identity_in(path: Path) -> str | None:
    """Return the identity of the database in a file, None when it is none; changes nothing."""
    try:
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                return None
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as raw:
            found = raw.execute("SELECT identity FROM database").fetchone()
    except (OSError, sqlite3.Error):
        return None
    return None if found is None else str(found[0])


def _migrate(database: Database) -> None:
    """Bring the schema to HEAD; processes that do so together wait for one another."""
    version = _version_of(database)
    to_wal(database.engine)
    if version != HEAD:
        _upgrade(database)


def _upgrade(database: Database) -> None:
    """Migrate in one transaction, unless another process has just done it."""
    with database.write() as connection:
        version = version_of(connection, database.path, HEAD)
        if version != HEAD:
            upgrade_from(version, connection)
            reached("schema made, not committed")


def _version_of(database: Database) -> str | None:
    with database.read() as connection:
        return version_of(connection, database.path, HEAD)

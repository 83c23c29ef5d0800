"""Opening a database: connections, transactions, migrations.

Every writing transaction begins with BEGIN IMMEDIATE: with WAL and a busy timeout alone, two
processes that read before they write can both claim one row.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from runner.core.errors import DiskFull, StoreBusy, UsageError
from runner.store.schema import settings_of_database

HEAD = "0004"
"""The newest migration; a test holds it against the scripts."""

BUSY_SECONDS = 60
SQLITE_HEADER = b"SQLite format 3\0"
"""The first bytes of every SQLite file."""


class Database:
    """One open database.

    Attributes:
        path: the SQLite file, or None for another database.
        engine: SQLAlchemy's engine.
        read_only: whether writing is an error.
    """

    def __init__(self, engine: sa.Engine, path: Path | None, read_only: bool = False) -> None:
        self.engine = engine
        self.path = path
        self.read_only = read_only

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection in a reading transaction."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that holds the write lock from its start.

        Raises:
            DiskFull: when it cannot be stored; nothing of it is.
            StoreBusy: when another process holds the lock for longer than ``BUSY_SECONDS``.
            UsageError: when the database is open for reading only.
        """
        if self.read_only:
            raise UsageError(f"{self.path} is read-only; name a database of your own with --db")
        try:
            with self.engine.connect() as connection:
                writer = connection.execution_options(runner_write=True)
                with writer.begin():
                    yield writer
        except sa.exc.OperationalError as error:
            if "disk is full" in str(error):
                raise DiskFull(error.orig) from error
            if "database is locked" in str(error):
                raise StoreBusy(error.orig) from error
            raise

    def identity(self) -> str:
        """Return the database's own random name."""
        with self.read() as connection:
            return str(connection.execute(sa.select(settings_of_database.c.identity)).scalar_one())

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(where: str | Path, create: bool = True, read_only: bool = False) -> Database:
    """Return the database at a path or SQLAlchemy URL, migrated to the newest schema.

    Args:
        where: a file, or a URL with "://".
        create: make the file when it is not there.
        read_only: open a finished SQLite file that nobody writes, and leave it as it is: it is not
            made, migrated or switched to WAL, and no file appears beside it.

    Raises:
        UsageError: when it is not there and must not be made, is not a database of this program, or
            is to be left as it is and has another schema.
    """
    if read_only:
        return _open_read_only(Path(where))
    url, path = _url(where)
    if path is not None and not path.is_file():
        if not create:
            raise UsageError(f"no database at {path}; it is made by the first `runner run`")
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, json_serializer=_json)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    database = Database(engine, path)
    try:
        _migrate(database)
    except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
        reason = error.__cause__ or error
        raise UsageError(f"{where} cannot be opened as a results database: {reason}") from error
    return database


def _open_read_only(path: Path) -> Database:
    if not path.is_file():
        raise UsageError(f"no database at {path}")
    # immutable: SQLite neither locks it nor looks for a journal, so its folder may be read-only too
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    engine = sa.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sa.NullPool
    )
    _prepare_sqlite(engine)
    database = Database(engine, path, read_only=True)
    try:
        with database.read() as connection:
            version = _version(connection)
    except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
        reason = error.__cause__ or error
        raise UsageError(f"{path} cannot be opened as a results database: {reason}") from error
    if version is None:
        raise UsageError(f"{path} is a database of another program")
    if version != HEAD:
        raise UsageError(
            f"{path} has schema {version}, this program reads {HEAD}; it is read-only and is not"
            " migrated"
        )
    return database


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


def _json(value: Any) -> str:
    """Return JSON that keeps the order of mappings: columns of tables stand as written.

    Lone surrogates, which UTF-8 cannot hold, become JSON's own escapes.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _url(where: str | Path) -> tuple[str | sa.URL, Path | None]:
    text = str(where)
    if "://" in text:
        return text, None
    # made from its parts: in a text, a "?" or "%" of the file's name would mean something else
    return sa.URL.create("sqlite", database=str(Path(text).absolute())), Path(text)


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def connect(raw: sqlite3.Connection, _: Any) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("runner_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _to_wal(engine: sa.Engine) -> None:
    """Switch a SQLite file to WAL, for good; does nothing when it was switched before.

    The switch ignores the busy timeout, hence the loop.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    with closing(engine.raw_connection()) as raw:
        while True:
            try:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _migrate(database: Database) -> None:
    """Bring the schema to HEAD; processes that do so together wait for one another."""
    with database.read() as connection:
        version = _version(connection)
        if version is None and sa.inspect(connection).get_table_names():
            raise UsageError(f"{database.path} is a database of another program")
    if database.engine.dialect.name == "sqlite":
        _to_wal(database.engine)
    if version == HEAD:
        return
    with database.write() as connection:
        version = _version(connection)
        if version == HEAD:
            return
        from runner.store.migrations import upgrade

        upgrade(connection)
        if version is None:
            connection.execute(sa.insert(settings_of_database).values(identity=uuid.uuid4().hex))


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found is not None and found > HEAD:
        raise UsageError(
            f"the database has schema {found}, this program knows {HEAD}: it was written by a newer"
            " version"
        )
    return found

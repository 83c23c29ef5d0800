"""Databases that are SQLite files: connections, transactions, whether the file is still there.

Every writing transaction begins with BEGIN IMMEDIATE: with WAL and a busy timeout alone, two
processes that read before they write can both claim one row.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from runner.core.errors import StoreBusy, StoreGone, UsageError
from runner.store.backend import Backend, Beside, CommitReader
from runner.store.failures import in_words
from runner.store.sources import Source
from runner.store.sqlite import prepare_sqlite, to_json

SQLITE_HEADER = b"SQLite format 3\0"
"""The first bytes of every SQLite file."""
PRIMARY = 0xFF
"""What of SQLite's extended error codes tells the kind of error."""


class FileBackend(Backend):
    """A SQLite file, or a copy of one in memory."""

    address: Path

    def __init__(self, engine: sa.Engine, path: Path, source: Source | None = None) -> None:
        super().__init__(engine, path)
        self._source = source
        self._files: dict[Path, tuple[int, int]] = {}

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection in a reading transaction.

        Raises:
            StoreGone: when the file is not there any more.
        """
        self.check()
        with super().read() as connection:
            yield connection

    @contextmanager
    def _write(self, beside: Beside) -> Iterator[sa.Connection]:
        self.check()
        with in_words(self.address), self.engine.connect() as connection:
            writer = connection.execution_options(runner_write=True)
            with writer.begin():
                yield writer
        self.check()

    def remember_files(self) -> None:
        """Remember which files these are, for :meth:`check`.

        Where it is only read, the log may come and go: who writes last takes it away.
        """
        path = self.address
        beside = [] if self.read_only else [path.with_name(f"{path.name}-wal")]
        self._files = {each: found for each in (path, *beside) if (found := _file_identity(each))}

    def check(self) -> None:
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

    def num_bytes(self) -> int:
        """Return the size of the file."""
        return self.address.stat().st_size

    def commit_reader(self) -> CommitReader:
        """Return a reader of SQLite's own counter."""
        uri = f"{self.address.absolute().as_uri()}?mode=ro"
        uri = uri if self._source is None else self._source.uri
        return _FileCommits(sqlite3.connect(uri, uri=True, check_same_thread=False), self.address)

    def close(self) -> None:
        """Close all connections."""
        super().close()
        if self._source is not None:
            self._source.close()


class _FileCommits(CommitReader):
    def __init__(self, raw: sqlite3.Connection, path: Path) -> None:
        self._raw, self._path = raw, path

    def now(self) -> int:
        with in_words(self._path):
            (found,) = self._raw.execute("PRAGMA data_version").fetchone()
        return int(found)

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._raw.close()


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def writing(path: Path) -> FileBackend:
    """Return a file that is written, which is made when it is not there.

    Raises:
        UsageError: when it cannot be made.
    """
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
    return FileBackend(engine, path)


def reading(path: Path, source: Source) -> FileBackend:
    """Return a database that is read from a source; each connection is its own."""
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(source.uri, uri=True),
        poolclass=sa.NullPool,
        json_serializer=to_json,
    )
    prepare_sqlite(engine)
    return FileBackend(engine, path, source)


def identity_in(path: Path) -> str | None:
    """Return the identity of the database in a file, None when it is none; changes nothing.

    Raises:
        StoreBusy: when another process keeps it locked for seconds.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                return None
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as raw:
            found = raw.execute("SELECT identity FROM database").fetchone()
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", 0) & PRIMARY == sqlite3.SQLITE_BUSY:
            raise StoreBusy(f"{path.name}: {error}") from None
        return None
    return None if found is None else str(found[0])

"""Opening a database to be watched: read in place, while other processes write it.

`mode=ro` connections see each commit of other processes, and SQLite's own counter tells cheaply
whether there was any.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from runner.store.addresses import database_file, is_there, is_writable
from runner.store.database import Database, open_database, reading
from runner.store.failures import in_words
from runner.store.sources import Source


def open_to_watch(where: str | Path) -> Database:
    """Return a database that is read where it is, as others write it; nothing is written.

    An older schema is migrated first, as by every other command. A file that cannot be written is
    opened as :func:`open_database` opens it: nobody else is expected to write it.

    Args:
        where: a file, or a URL with "://".

    Raises:
        UsageError: when it is not there, or is not a database of this program.
        DamagedDatabase: when it is not whole.
    """
    path = database_file(where)
    if not is_there(path) or not is_writable(path):
        return open_database(where, create=False, read_only=True)
    open_database(where, create=False).close()
    with in_words(path):
        database = reading(path, Source(f"{path.absolute().as_uri()}?mode=ro"))
        database.read_only = True
        database.remember_files()
        return database


class CommitCounter:
    """Tells whether anybody has committed to a database since the last question."""

    def __init__(self, database: Database) -> None:
        """Begin to count; to be asked by one thread at a time.

        Args:
            database: opened by :func:`open_to_watch`.
        """
        self._path = database.path
        self._raw = database.raw_connection()
        self._seen = -1

    def has_moved(self) -> bool:
        """Return whether there was a commit; True at the first question.

        Raises:
            StoreBusy: when another process keeps the whole file locked.
            DamagedDatabase: when it cannot be read.
        """
        with in_words(self._path):
            (now,) = self._raw.execute("PRAGMA data_version").fetchone()
        moved, self._seen = int(now) != self._seen, int(now)
        return moved

    def close(self) -> None:
        """Close its connection."""
        with suppress(sqlite3.Error):
            self._raw.close()

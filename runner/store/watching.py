"""Opening a database to be watched: read in place, while other processes write it.

Whether anybody has committed is asked cheaply. A file is read by `mode=ro` connections, which see
each commit of other processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.store.addresses import ServerDatabase, address_of, is_there, is_writable
from runner.store.database import Database, open_database
from runner.store.failures import in_words
from runner.store.files import reading
from runner.store.reference import is_reference_file
from runner.store.sources import Source


def open_to_watch(where: str | Path) -> Database:
    """Return a database that is read where it is, as others write it; nothing is written.

    An older schema is migrated first, as by every other command. A file that cannot be written, or
    must not be as the reference, is opened as :func:`open_database` opens it to be read: nobody
    else is expected to write it.

    Args:
        where: a file, or a URL with "://".

    Raises:
        UsageError: when it is not there, or is not a database of this program.
        DamagedDatabase: when it is not whole.
    """
    address = address_of(where)
    if not isinstance(address, ServerDatabase) and (
        is_reference_file(address) or not (is_there(address) and is_writable(address))
    ):
        return open_database(where, create=False, read_only=True)
    open_database(where, create=False).close()
    if isinstance(address, ServerDatabase):
        return open_database(where, create=False, read_only=True, check=False)
    with in_words(address):
        backend = reading(address, Source(f"{address.absolute().as_uri()}?mode=ro"))
        backend.read_only = True
        backend.remember_files()
        return Database(backend)


class CommitCounter:
    """Tells whether anybody has committed to a database since the last question."""

    def __init__(self, database: Database) -> None:
        """Begin to count; to be asked by one thread at a time.

        Args:
            database: opened by :func:`open_to_watch`, or to be written too.
        """
        self._commits = database.commit_reader()
        self._seen: Any = None

    def has_moved(self) -> bool:
        """Return whether there was a commit; True at the first question.

        Raises:
            StoreBusy: when another process keeps the whole file locked.
            StoreUnreachable: when the server does not answer any more.
            DamagedDatabase: when it cannot be read.
        """
        now = self._commits.now()
        moved = bool(now != self._seen)
        self._seen = now
        return moved

    def close(self) -> None:
        """Close its connection."""
        self._commits.close()

"""What an error of a database, or a value that is not what it should be, says to a person.

Here errors of reading and writing a database become errors of this program: SQLite's by this
module, PostgreSQL's by `server_failures`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from runner.core.errors import (
    DamagedDatabase,
    DiskFull,
    RunnerError,
    StoreBusy,
    StoreGone,
    UsageError,
)
from runner.store import server_failures
from runner.store.json_types import WrongShape

if TYPE_CHECKING:
    from runner.store.addresses import Address

MENDING = "take a copy from before, or do the runs again on another database (--db)"


@contextmanager
def in_words(address: Address) -> Iterator[None]:
    """Turn what goes wrong with the database at an address while entered into errors in words.

    Raises:
        DiskFull: when nothing more fits on the disk.
        StoreBusy: when another process keeps it locked.
        StoreGone: when SQLite finds that its file was moved or removed.
        StoreUnreachable: when the server does not answer any more.
        UsageError: when it is no SQLite file, or cannot be opened.
        DamagedDatabase: when it cannot be read, or holds what was never recorded.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _in_words(address, error.orig) from error
    except sqlite3.Error as error:
        raise _in_words(address, error) from error
    except (json.JSONDecodeError, UnicodeDecodeError, WrongShape) as error:
        raise damaged(address, f"a value is not what it should be: {error}") from error
    except Exception as error:
        if not server_failures.is_of_server(error):
            raise
        raise _in_words(address, error) from error


def damaged(address: Address, what: str) -> DamagedDatabase:
    """Return the error for what is wrong in a database."""
    return DamagedDatabase(f"{address} is damaged: {what}", hint=MENDING)


def _in_words(address: Address, error: BaseException | None) -> RunnerError | BaseException:
    """Return what is raised for an error; one that only a wrong program makes stays as it is."""
    if server_failures.is_of_server(error):
        return server_failures.in_words(address, error)
    if not isinstance(error, sqlite3.Error) or isinstance(
        error, sqlite3.ProgrammingError | sqlite3.InterfaceError
    ):
        return error or RuntimeError("an error without a cause")
    code = getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return StoreGone(f"{address} was moved or removed ({error})")
    kind = code & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return DiskFull(error)
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(error)
    if kind in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN):
        return UsageError(f"{address} cannot be opened as a results database: {error}")
    if kind == sqlite3.SQLITE_CORRUPT:
        return damaged(address, str(error))
    if kind == sqlite3.SQLITE_ERROR and str(error).startswith("too many "):
        found = f"what is asked of {address} is too much for SQLite: {error}"
        return UsageError(found, hint="ask for fewer columns or runs at once")
    hint = "`runner db check` looks at all of it"
    return DamagedDatabase(f"{address} cannot be used: {error}", hint=hint)

"""What an error of SQLite, or a value that is not what it should be, says to a person.

The only module where errors of reading and writing a database become errors of this program.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from runner.core.errors import (
    DamagedDatabase,
    DiskFull,
    RunnerError,
    StoreBusy,
    StoreGone,
    UsageError,
)
from runner.store.json_types import WrongShape

MENDING = "take a copy from before, or do the runs again on another database (--db)"


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn what goes wrong with the database at ``path`` while entered into errors in words.

    Raises:
        DiskFull: when nothing more fits on the disk.
        StoreBusy: when another process keeps it locked.
        StoreGone: when SQLite finds that its file was moved or removed.
        UsageError: when it is no SQLite file, or cannot be opened.
        DamagedDatabase: when it cannot be read, or holds what was never recorded.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _in_words(path, error.orig) from error
    except sqlite3.Error as error:
        raise _in_words(path, error) from error
    except (json.JSONDecodeError, UnicodeDecodeError, WrongShape) as error:
        raise damaged(path, f"a value is not what it should be: {error}") from error


def damaged(path: Path, what: str) -> DamagedDatabase:
    """Return the error for what is wrong in the database at ``path``."""
    return DamagedDatabase(f"{path} is damaged: {what}", hint=MENDING)


def _in_words(path: Path, error: BaseException | None) -> RunnerError | BaseException:
    """Return what is raised for an error; one that only a wrong program makes stays as it is."""
    if not isinstance(error, sqlite3.Error) or isinstance(
        error, sqlite3.ProgrammingError | sqlite3.InterfaceError
    ):
        return error or RuntimeError("an error without a cause")
    code = getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return StoreGone(f"{path} was moved or removed ({error})")
    kind = code & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return DiskFull(error)
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(error)
    if kind in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN):
        return UsageError(f"{path} cannot be opened as a results database: {error}")
    if kind == sqlite3.SQLITE_CORRUPT:
        return damaged(path, str(error))
    if kind == sqlite3.SQLITE_ERROR and str(error).startswith("too many "):
        found = f"what is asked of {path} is too much for SQLite: {error}"
        return UsageError(found, hint="ask for fewer columns or runs at once")
    hint = "`runner db check` looks at all of it"
    return DamagedDatabase(f"{path} cannot be used: {error}", hint=hint)

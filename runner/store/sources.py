"""How a file is read that must stay as it is: where it is, or from a copy in memory.

A copy is needed where SQLite would have to write beside the file first: to see what its program
left in a log, or to migrate an older schema.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import StoreBusy, UsageError

MOST_IN_MEMORY = 1_000_000_000
"""SQLite's own limit for a database in memory, in bytes, is a little higher."""

LOGS = ("-wal", "-journal")
"""What SQLite puts behind a file's name for what is not in the file yet, or no longer valid."""

TRIES = 10
"""How often a file is copied that is written meanwhile, without locks that tell of it."""


@dataclass(frozen=True)
class Source:
    """Where connections go.

    Attributes:
        uri: for ``sqlite3.connect``.
        keeper: keeps a copy in memory alive while it is open.
    """

    uri: str
    keeper: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let a copy in memory go."""
        if self.keeper is not None:
            self.keeper.close()


def immutable(path: Path) -> Source:
    """Return a file as it is, which nobody writes while it is read.

    SQLite neither locks it nor looks for a log, so that its folder may be read-only.
    """
    return Source(f"{path.absolute().as_uri()}?mode=ro&immutable=1")


def has_log_beside(path: Path) -> bool:
    """Return whether a log beside a file holds anything."""
    for log in LOGS:
        with suppress(OSError):
            if os.stat(f"{path}{log}").st_size:
                return True
    return False


def fits_in_memory(path: Path) -> bool:
    """Return whether a file is small enough to be copied to memory."""
    return os.stat(path).st_size <= MOST_IN_MEMORY


def copied_to_memory(path: Path) -> Source:
    """Return a copy of a database with all that was committed to it, in memory.

    It is copied anew where a process that has just begun writes meanwhile.

    Raises:
        UsageError: when it is too large for that.
        StoreBusy: when it is written each time.
        sqlite3.Error: when it cannot be read.
    """
    if not fits_in_memory(path):
        raise UsageError(
            f"{path} cannot be read where it is and is too large to be copied to memory",
            hint="copy it, with what lies beside it, into a folder that can be written",
        )
    for _ in range(TRIES):
        if has_log_beside(path) and Path(f"{path}-shm").exists():
            # the processes that write it have their locks there; reading needs no right to write
            with suppress(sqlite3.OperationalError):
                return _in_memory(f"{path.absolute().as_uri()}?mode=ro")
        before = _stamps(path)
        try:
            copy = _copied(path)
        except sqlite3.Error:
            if _stamps(path) == before:
                raise
            continue
        if _stamps(path) == before:
            return copy
        copy.close()
    raise StoreBusy(f"{path} is written each time that it is copied")


def _stamps(path: Path) -> dict[str, tuple[int, int, int]]:
    """Return what changes when a file or a log beside it does."""
    found = {}
    for name in (str(path), *(f"{path}{log}" for log in LOGS)):
        with suppress(FileNotFoundError):
            stat = os.stat(name)
            found[name] = stat.st_ino, stat.st_size, stat.st_mtime_ns
    return found


def _copied(path: Path) -> Source:
    """Return a copy of a file that nobody writes meanwhile."""
    if not has_log_beside(path):
        return _in_memory(immutable(path).uri)
    with tempfile.TemporaryDirectory(prefix="runner-read-") as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(path, copy)
        for log in LOGS:
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{log}", f"{copy}{log}")
        return _in_memory(copy.as_uri())


def _in_memory(source: str) -> Source:
    uri = f"file:/runner-{uuid.uuid4().hex}?vfs=memdb"
    keeper = sqlite3.connect(uri, uri=True)
    try:
        with closing(sqlite3.connect(source, uri=True)) as raw:
            # a copy by pages would be one in WAL mode, which memory has not
            raw.execute("VACUUM INTO ?", [uri])
    except BaseException:
        keeper.close()
        raise
    return Source(uri, keeper)

"""Locks on folders: runs on any database hold `.runner/` together, clearing it needs it alone.

The folder itself is locked, so that the system gives the lock up when a process dies. Where a file
system has no such locks, nothing is held; the claims of the database still tell its own runs.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import UsageError


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Hold ``.runner/`` with others; waits while it is being cleared."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold ``.runner/`` alone.

    Raises:
        UsageError: while a run is at work, on whatever database.
    """
    if not folder.is_dir():
        yield
        return
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise UsageError(
            f"a run is at work in {folder}", hint="stop it, or wait for its end"
        ) from None


@contextmanager
def waited_for(folder: Path) -> Iterator[None]:
    """Hold a folder alone, after others; without locks, the last one that writes there wins."""
    with _locked(folder, fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, how)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)

"""Folders with an array and an index that describes it: pixels, features, changed images.

Verifies the checksum of an array once in each process and state of its file; whoever needs an array
that is missing, damaged or foreign makes it again. Knows none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from runner.artifacts.atomic import whole_folder
from runner.artifacts.hashes import stamp_of
from runner.core.errors import StageFailed

NOT_THERE = "they are not there"
DAMAGED = "they are damaged"
REMOVED = "another process has removed them"
ATTEMPTS = 3
PAUSE = 0.1
"""Seconds, far more than the two renames take with which a folder is replaced."""

T = TypeVar("T")

_checked: dict[Path, str] = {}
"""Stamp of the files whose checksum this process has verified or made."""


def stamp_at(path: Path) -> str:
    """Return what the file system says of a file that changes when its content does."""
    return stamp_of(path.stat())


def is_whole(path: Path, checksum: object, digest: Callable[[Path], str]) -> bool:
    """Return whether a file still has its checksum; read once for each state that it is in.

    Args:
        path: the file.
        checksum: what ``digest`` returned when it was made, as its index says.
        digest: reads the file.

    Raises:
        FileNotFoundError: when the file is gone.
    """
    while True:
        stamp = stamp_at(path)
        if _checked.get(path) == stamp:
            return True
        try:
            found = digest(path)
        except FileNotFoundError:
            raise
        except (OSError, ValueError):  # a bad disk, or a file that is cut off
            return False
        if found != checksum:
            return False
        if stamp_at(path) == stamp:  # else another process has just replaced it
            _checked[path] = stamp
            return True


@contextmanager
def array_folder(folder: Path, array: str) -> Iterator[Path]:
    """Yield a folder for an array and its index; it becomes ``folder`` at the end of the block.

    Args:
        folder: the final path.
        array: the file whose checksum is in the index, which need not be verified again.
    """
    with whole_folder(folder) as partial:
        yield partial
        stamp = stamp_at(partial / array)
    _checked[folder / array] = stamp


def open_or_make(
    on_note: Callable[[str], None],
    told: str,
    fault: Callable[[], str],
    make: Callable[[], object],
    opened: Callable[[], T],
    expected: str = "",
    fetch: Callable[[], bool] = lambda: False,
) -> T:
    """Return what a stage needs, made again when it is gone, damaged or foreign.

    Args:
        on_note: told when it is made again.
        told: what is said when it is made again, without the reason.
        fault: returns why it cannot be used, or "".
        make: makes it.
        opened: opens it.
        expected: the reason of which nothing is said.
        fetch: brings it from elsewhere and returns whether it did; tried before it is made.

    Raises:
        StageFailed: when others remove it each time.
    """
    for attempt in range(ATTEMPTS):
        why, found = _looked(fault, opened)
        if why == REMOVED or (attempt and why == NOT_THERE):
            time.sleep(PAUSE)  # another process may be replacing them with its own
            again, found = _looked(fault, opened)
            why = why if again == NOT_THERE else again
        if found is None and not attempt and fetch():
            why, found = _looked(fault, opened)
        if found is not None:
            return found
        if why != expected:
            on_note(f"{told}: {why}")
        make()
    raise StageFailed(
        f"{told}, {ATTEMPTS} times, without success: other processes remove them each time"
    )


def _looked(fault: Callable[[], str], opened: Callable[[], T]) -> tuple[str, T | None]:
    """Return why something cannot be used, or "" and what opening it gives."""
    try:
        why = fault()
        return (why, None) if why else ("", opened())
    except FileNotFoundError:
        return REMOVED, None

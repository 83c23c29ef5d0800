"""Writing beside the training: one thing after another, in a thread of its own.

Owns the order, which is that of asking, and what nobody waits for: states at the ends of trainings,
at most one of which is held. Knows nothing of what is written.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")


class Writer:
    """Writes what trainings ask for; its thread begins with the first thing and ends at the close.

    A thing that is asked for is written by the end of the process, unless that is killed.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._newest: Future[Any] | None = None
        self._left: tuple[str, Future[str]] | None = None
        self._notes: list[str] = []

    def add(self, write: Callable[[], T]) -> Future[T]:
        """Have something written; who asks waits for it, and gets its errors, by the future."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        found = self._pool.submit(write)
        self._newest = found
        return found

    def drain(self) -> None:
        """Wait until nothing is to be written any more, whoever asked for it."""
        self.settle()
        if self._newest is not None:
            wait([self._newest])
            self._newest = None

    def leave(self, name: str, write: Callable[[], str]) -> None:
        """Have something written for which nobody waits.

        Args:
            name: of what is written.
            write: writes it and returns what a person should know, or "".
        """
        self.settle()
        self._left = (name, self.add(write))

    def settle(self, name: Callable[[str], bool] = lambda name: True) -> None:
        """Wait until what nobody waited for is written, if its name is such a one."""
        if self._left is not None and name(self._left[0]):
            _, left = self._left
            note = left.result()
            self._left = None
            if note:
                self._notes.append(note)

    def notes(self) -> list[str]:
        """Return, once, what a person should know of what nobody waited for."""
        if self._left is not None and self._left[1].done():
            self.settle()
        found, self._notes = self._notes, []
        return found

    def close(self) -> None:
        """Wait until all is written, and end the thread; another begins with the next thing."""
        self.settle()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

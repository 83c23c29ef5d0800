"""What is put to a shared store beside the work: one thing after another, in a thread of its own.

Owns the order, which is that of asking, and what is tried again later. Of what is asked for twice
under one name before it has begun, only the last is done. Knows nothing of what is put there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from runner.artifacts.patience import Patience
from runner.core.errors import StoreError

LOOK_SECONDS = 0.5
"""Between two looks at whether the thread is done: a signal may want to end the waiting."""

Task = Callable[[], bool]
"""Does something and returns whether nothing is left to do."""


class Uploads:
    """What waits to be put to one place."""

    def __init__(self, patience: Patience) -> None:
        """Begin with nothing.

        Args:
            patience: how the place is asked.
        """
        self._patience = patience
        self._waiting: dict[str, Task] = {}
        self._left: dict[str, Task] = {}
        self._failed: dict[str, StoreError] = {}
        self._at_work: str | None = None
        self._changed = threading.Condition()
        self._pool: ThreadPoolExecutor | None = None

    def add(self, name: str, task: Task) -> None:
        """Have something done, in place of what waits under this name."""
        with self._changed:
            if self._left and not self._patience.is_away():
                again, self._left = self._left, {}
                for each, old in again.items():
                    self._submit(each, self._waiting.get(each, old))
            self._left.pop(name, None)
            self._failed.pop(name, None)
            self._waiting.pop(name, None)
            self._submit(name, task)

    def settle(self, names: Iterable[str]) -> None:
        """Wait until nothing of these waits or is at work; what cannot be done now is left.

        Raises:
            StoreError: when the database could not be asked whether one of them may be put.
        """
        wanted = set(names)
        with self._changed:
            while not wanted.isdisjoint(self._waiting) or self._at_work in wanted:
                self._changed.wait(LOOK_SECONDS)
            failed = [self._failed.pop(name) for name in wanted & self._failed.keys()]
        if failed:
            raise failed[0]

    def finish(self) -> None:
        """Wait for everything, try once more what was left, and end the thread."""
        self._wait()
        with self._changed:
            again, self._left = self._left, {}
            if again:
                self._patience.come_back()
            for name, task in again.items():
                self._submit(name, task)
        self._wait()
        if self._left:
            many = "1 artifact lies" if len(self._left) == 1 else f"{len(self._left)} artifacts lie"
            self._patience.say(
                f"{many} in .runner/ and could not be put to {self._patience.address}"
            )
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _wait(self) -> None:
        with self._changed:
            while self._waiting or self._at_work is not None:
                self._changed.wait(LOOK_SECONDS)

    def _submit(self, name: str, task: Task) -> None:
        self._waiting[name] = task
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="uploads")
        self._pool.submit(self._do_first)

    def _do_first(self) -> None:
        with self._changed:
            if not self._waiting:  # done in place of another of its name
                return
            name = next(iter(self._waiting))
            task = self._waiting.pop(name)
            self._at_work = name
        is_done = True
        try:
            is_done = task()
        except Exception as error:  # nothing that is put there may end the work here
            first = str(error).partition("\n")[0]
            self._patience.say(f"{name} was not put to {self._patience.address}: {first}")
            if isinstance(error, StoreError):  # but the work ends where it waits for this
                with self._changed:
                    self._failed[name] = error
        finally:
            with self._changed:
                self._at_work = None
                if not is_done and name not in self._waiting:
                    self._left[name] = task
                self._changed.notify_all()

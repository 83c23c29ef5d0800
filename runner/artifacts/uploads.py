"""What is put to a shared store beside the work: one thing after another, in a thread of its own.

Owns the order, which is that of asking, what is tried again later, and what is given up once the
work is to stop soon. Of what is asked for twice under one name before it has begun, only the last
is done. Knows nothing of what is put there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from runner.artifacts.patience import Patience
from runner.core.errors import ClaimLost, StoreError

LOOK_SECONDS = 0.5
"""Between two looks at whether the thread is done: a signal may want to end the waiting."""
STOP_SECONDS = 45.0
"""For so long work that was asked to stop waits: a scheduler may end it two minutes later, and what
it goes on from is written here first."""

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
        self._thread: threading.Thread | None = None
        self._until: float | None = None
        self._said: set[str] = set()

    def begin(self) -> None:
        """Begin with a run: one that was stopped before it in this process has left no trace."""
        with self._changed:
            if self._until is not None:  # what waited for everything may have been interrupted
                self._drop_all()
            self._until = None
            self._said.clear()

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

    def drop(self, names: Iterable[str]) -> None:
        """Give these up: others may do them from now on, and what is at work is named no more."""
        dropped = set(names)
        with self._changed:
            for name in dropped:
                self._waiting.pop(name, None)
                self._failed.pop(name, None)
                if name in self._left:  # it is counted, and not tried again
                    self._left[name] = lambda: False
            if self._at_work in dropped:
                self._at_work = None
            self._changed.notify_all()

    def settle(self, names: Iterable[str], should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until nothing of these waits or is at work; what cannot be done now is left.

        Args:
            names: of what is waited for.
            should_stop: asked meanwhile; once it is true, nothing is waited for any longer than
                :meth:`hurry` says.

        Raises:
            StoreError: when the database could not be asked whether one of them may be put.
        """
        wanted = set(names)
        with self._changed:
            self._wait(lambda: wanted.isdisjoint({*self._waiting, self._at_work}), should_stop)
            failed = [self._failed.pop(name) for name in wanted & self._failed.keys()]
        if failed:
            raise failed[0]

    def finish(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait for everything, and try once more what was left, unless the work is to stop soon.

        Args:
            should_stop: as of :meth:`settle`.
        """
        with self._changed:
            self._wait(self._is_idle, should_stop)
            if self._left and self._until is None:
                again, self._left = self._left, {}
                self._patience.come_back()
                for name, task in again.items():
                    self._submit(name, task)
                self._wait(self._is_idle, should_stop)
            if self._left:
                many = len(self._left)
                lying = "1 artifact lies" if many == 1 else f"{many} artifacts lie"
                self._say(f"{lying} in .runner/ and could not be put to {self._patience.address}")
            if self._until is not None:
                self._left = {}

    def hurry(self, seconds: float = STOP_SECONDS) -> None:
        """Let nothing be waited for longer than so many seconds from now, until the next run.

        What is not through then is given up, with 0 seconds at once. The thread may hang in it, and
        hinders no process from ending.
        """
        with self._changed:
            until = time.monotonic() + seconds
            self._until = until if self._until is None else min(self._until, until)
            if seconds <= 0 and not self._is_idle():
                self._give_up()

    def check(self) -> None:
        """Check, in what the thread does, that it has not been given up meanwhile.

        Raises:
            ClaimLost: when it has: another process may have taken the work over.
        """
        with self._changed:
            if threading.current_thread() is not self._thread or self._at_work is None:
                raise ClaimLost("nobody waits for it any more")

    def _is_idle(self) -> bool:
        return not self._waiting and self._at_work is None

    def _wait(self, is_over: Callable[[], bool], should_stop: Callable[[], bool]) -> None:
        """Wait until something is over, but no longer than is said; needs the lock."""
        while not is_over():
            if self._until is None and should_stop():
                self.hurry()
            left = LOOK_SECONDS if self._until is None else self._until - time.monotonic()
            if left <= 0:
                self._give_up()
                return
            self._changed.wait(min(left, LOOK_SECONDS))

    def _give_up(self) -> None:
        self._drop_all()
        self._say(
            f"no time was left to put everything to {self._patience.address}:"
            " what is not there lies in .runner/"
        )

    def _drop_all(self) -> None:
        self._waiting, self._left, self._at_work, self._thread = {}, {}, None, None

    def _say(self, text: str) -> None:
        """Tell a person something, once in a run."""
        if text not in self._said:
            self._said.add(text)
            self._patience.say_again(text)

    def _submit(self, name: str, task: Task) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="uploads", daemon=True)
            thread.start()  # where the system has none left, nothing waits for one
            self._thread = thread
        self._waiting[name] = task

    def _work(self) -> None:
        """Do one thing after another until nothing waits, or what is done is given up."""
        while True:
            with self._changed:
                if threading.current_thread() is not self._thread:
                    return
                if not self._waiting:
                    self._thread = None
                    return
                name = next(iter(self._waiting))
                task = self._waiting.pop(name)
                self._at_work = name
            self._do(name, task)

    def _do(self, name: str, task: Task) -> None:
        is_done, failed = True, None
        try:
            is_done = task()
        except Exception as error:  # nothing that is put there may end the work here
            first = str(error).partition("\n")[0]
            self._patience.say(f"{name} was not put to {self._patience.address}: {first}")
            if isinstance(error, StoreError):  # but the work ends where it waits for this
                failed = error
        finally:
            with self._changed:
                if threading.current_thread() is self._thread and self._at_work == name:
                    if failed is not None:
                        self._failed[name] = failed
                    self._at_work = None
                    if not is_done and name not in self._waiting:
                        self._left[name] = task
                    self._changed.notify_all()

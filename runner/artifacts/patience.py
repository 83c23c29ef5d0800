"""Asking what may not answer: again a few times, then not for a while.

Owns how often and how long is waited, and what a person is told, each thing once. Knows nothing of
what is asked.
"""

from __future__ import annotations

import errno
import random
import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from runner.core.errors import StoreError, is_full_disk
from runner.core.text import printable, without_login

WAITS = (0.5, 1.0, 2.0)
"""Seconds before each further try: half of them, or up to all."""
ENOUGH_SECONDS = 8.0
"""After so long nothing is tried a third time: libraries of file systems try by themselves, too."""
AWAY_SECONDS = 60.0
"""For so long nothing is asked of what did not answer."""
LONGEST_TOLD = 200
SECRETS = re.compile(r"\?\S+")
"""What follows the path in a URL, such as a signature."""

T = TypeVar("T")


class Unreachable(Exception):
    """Nothing is asked now, or there was no answer; a person is told."""


class Refused(Exception):
    """It answers, and does not do what is asked, however often.

    Attributes:
        why: the error.
    """

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


class Patience:
    """How something that may not answer is asked."""

    def __init__(self, address: str, wait: Callable[[float], None] = time.sleep) -> None:
        """Begin as if it answered.

        Args:
            address: of what is asked, as it may be printed.
            wait: waits so many seconds.
        """
        self.address, self.wait = address, wait
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._is_away = False
        self._said: set[str] = set()
        self._notes: list[str] = []

    def notes(self) -> list[str]:
        """Return, once, what a person should know."""
        with self._lock:
            found, self._notes = self._notes, []
        return found

    def say(self, text: str) -> None:
        """Tell a person something, once."""
        with self._lock:
            if text not in self._said:
                self._said.add(text)
                self._notes.append(text)

    def say_again(self, text: str) -> None:
        """Tell a person something, also what was said before."""
        with self._lock:
            self._notes.append(text)

    def is_away(self) -> bool:
        """Return whether nothing is asked now."""
        return self._is_away and time.monotonic() < self._away_until

    def come_back(self) -> None:
        """Ask again, however it was before."""
        self._away_until = 0.0

    def ask(self, do: Callable[[], T], *raising: type[Exception]) -> T:
        """Ask for something, again where there is no answer.

        Args:
            do: asks once.
            raising: what is no lack of an answer.

        Raises:
            StoreError: of the database, which is asked on the way: it says nothing of the place.
            Unreachable: when there is no answer.
            Refused: when the answer is that it must not or cannot be done.
            OSError: when a disk is full.
        """
        if self.is_away():
            raise Unreachable
        waits = () if self._is_away else WAITS
        enough, tries = time.monotonic() + ENOUGH_SECONDS, 0
        for seconds in (*waits, None):
            try:
                found = do()
            except StoreError:
                raise
            except raising:
                raise
            except Exception as error:  # the libraries of file systems have their own
                tries += 1
                if is_full_disk(error):
                    raise
                if _is_refusal(error):
                    raise Refused(error) from None
                if seconds is None or (tries > 1 and time.monotonic() > enough):
                    self._go_away(error)
                    raise Unreachable from None
                self.wait(seconds * random.uniform(0.5, 1.0))
            else:
                self._answers()
                return found
        raise AssertionError("the last try returns or raises")

    def _go_away(self, error: Exception) -> None:
        was_away, self._is_away = self._is_away, True
        self._away_until = time.monotonic() + AWAY_SECONDS
        if not was_away:
            self.say_again(f"{self.address} cannot be reached ({told(error)}): going on without it")

    def _answers(self) -> None:
        if self._is_away:
            self._is_away = False
            self.say_again(f"{self.address} can be reached again")


def told(error: Exception) -> str:
    """Return an error in one short line, without what may be secret."""
    text = SECRETS.sub("?…", without_login(str(error).partition("\n")[0]))
    text = f"{type(error).__name__}: {printable(text)}"
    return text if len(text) <= LONGEST_TOLD else f"{text[: LONGEST_TOLD - 1]}…"


def _is_refusal(error: Exception) -> bool:
    is_read_only = isinstance(error, OSError) and error.errno == errno.EROFS
    return is_read_only or isinstance(error, PermissionError | NotImplementedError)

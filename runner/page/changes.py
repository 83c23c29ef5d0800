"""What changed since a reader looked last: a cursor for each experiment, never the whole again.

Reads the database only while somebody waits for news, and then spends at most a quarter of one core
on it, so that runs are not slowed down.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

from runner.api.watching import Name, Watch
from runner.page.json_text import json_text

LOOK_SECONDS = 0.4
"""Between two looks for a commit."""

REST = 3.0
"""A reading is followed by a rest of so many times its length."""

FORGET_SECONDS = 600.0
"""What nobody has asked for so long is forgotten: a tab that is seen asks every twenty seconds."""

STALE_SECONDS = 15.0
"""After so long it is read again without a commit: dead processes write nothing."""


class _Followed:
    """One experiment: its items, and the number of the change that made each."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(4)
        self.items: dict[str, tuple[Any, int]] = {}
        self.gone: dict[str, int] = {}
        self.number = 0
        self.commits = -1
        self.read_at = 0.0
        self.rest_until = 0.0
        self.asked_at = 0.0
        self.was_read = False

    def take(self, items: dict[str, Any]) -> None:
        """Note what is another than before."""
        number = self.number + 1
        before = self.items
        changed = {
            key: (value, number)
            for key, value in items.items()
            if key not in before or (before[key][0] is not value and before[key][0] != value)
        }
        gone = before.keys() - items.keys()
        if changed or gone:
            self.number = number
            self.items |= changed
            for key in gone:
                del self.items[key]
            self.gone |= dict.fromkeys(gone, number)
            for key in changed:
                self.gone.pop(key, None)


class Changes:
    """The changes of all experiments that somebody looks at; may be asked by several threads."""

    def __init__(self, watch: Watch, lock: threading.Lock) -> None:
        """Begin with nothing read.

        Args:
            watch: the database.
            lock: held while it is read.
        """
        self._watch, self._lock = watch, lock
        self._followed: dict[Name, _Followed] = {}
        self._commits = 0

    def after(self, name: Name, cursor: str) -> str:
        """Return what changed of an experiment since a cursor, as JSON text.

        Args:
            name: the experiment.
            cursor: of an answer before, or "" for everything.

        Returns:
            An object with ``cursor``, ``whole`` (whether it is everything), ``items`` by id and
            ``gone``, a list of ids.

        Raises:
            UsageError: for an unknown experiment.
            RunnerError: when the database cannot be read.
        """
        with self._lock:
            followed = self._refreshed(name)
            mark, _, number = cursor.partition(".")
            known = mark == followed.mark and number.isdecimal()
            since = int(number) if known else 0
            items = followed.items.items()
            answer = {
                "cursor": f"{followed.mark}.{followed.number}",
                "whole": since == 0,
                "gone": [key for key, changed in followed.gone.items() if changed > since],
                "items": {key: value for key, (value, changed) in items if changed > since},
            }
        return json_text(answer)

    def has_news(self, name: Name, cursor: str) -> bool:
        """Return whether :meth:`after` would say anything new; as it, but cheaper."""
        with self._lock:
            followed = self._refreshed(name)
            return cursor != f"{followed.mark}.{followed.number}"

    def forget(self) -> None:
        """Begin anew, since the database is another one; the lock is held by who asks for it."""
        self._followed.clear()

    def _refreshed(self, name: Name) -> _Followed:
        self._commits += self._watch.has_moved()
        followed = self._followed.setdefault(name, _Followed())
        now = followed.asked_at = time.monotonic()
        for other, each in list(self._followed.items()):
            if now > each.asked_at + FORGET_SECONDS:
                del self._followed[other]
                self._watch.forget(other)
        if not followed.items:
            # what is seen first takes less than half of the time; the rest comes at the next look
            followed.take(self._watch.first_items(name))
            followed.commits, followed.read_at = self._commits, time.monotonic()
        elif now >= followed.rest_until:
            self._look(name, followed, now)
        return followed

    def _look(self, name: Name, followed: _Followed, now: float) -> None:
        """Read what changed, or check some of what was read before; in turns where both wait."""
        moved = followed.commits != self._commits or now > followed.read_at + STALE_SECONDS
        is_whole, is_settled = self._watch.is_whole(name), self._watch.is_settled(name)
        if is_settled and not moved:
            return
        is_checked_next = followed.was_read and not is_settled
        if not is_whole or (moved and not is_checked_next):
            commits = self._commits
            followed.take(self._watch.items(name))
            followed.commits, followed.read_at = commits, time.monotonic()
            followed.was_read = is_whole  # what is read once, is followed by no rest
        else:
            self._watch.check(name)
            followed.was_read = False
        ended = time.monotonic()
        followed.rest_until = ended + (REST * (ended - now) if is_whole else 0.0)

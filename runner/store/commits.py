"""Whether a transaction was committed on a server whose end nobody heard of.

Each transaction leaves its number in a row of its writer. The server's own `pg_xact_status` does
not do: after a crash the number of a transaction that is gone may be given to another one.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass

import sqlalchemy as sa

_NOW = "extract(epoch FROM clock_timestamp())"

LEAVE = f"""\
INSERT INTO commits (writer, number, written) VALUES (%(writer)s, %(number)s, {_NOW})
ON CONFLICT (writer) DO UPDATE SET number = excluded.number, written = excluded.written"""

_LOOK = f"""\
INSERT INTO commits (writer, number, written) VALUES (%(writer)s, 0, {_NOW})
ON CONFLICT (writer) DO UPDATE SET number = commits.number RETURNING number"""

_FORGET = f"""\
DELETE FROM commits WHERE writer IN
(SELECT writer FROM commits WHERE written < {_NOW} - %(seconds)s FOR UPDATE SKIP LOCKED)"""

DAY = 86_400.0
"""Seconds for which a row is kept: far longer than anybody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Which transaction: of a writer, the number."""

    writer: str
    number: int

    @property
    def values(self) -> dict[str, object]:
        """What :data:`LEAVE` is given."""
        return {"writer": self.writer, "number": self.number}


class Writer(threading.local):
    """Numbers the transactions of each thread: one has only one at a time."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Take another name: the server may hold the row of this one until it misses us."""
        self._name = uuid.uuid4().hex
        self._number = 0

    def next(self) -> Commit:
        """Return the next transaction of this thread."""
        self._number += 1
        return Commit(self._name, self._number)


def forget_old(connection: sa.Connection) -> None:
    """Remove the rows of writers that have been silent for a day."""
    connection.exec_driver_sql(_FORGET, {"seconds": DAY})


def was_committed(connection: sa.Connection, commit: Commit) -> bool:
    """Return whether the last transaction of a writer was committed.

    Waits for it where the server has not noticed yet that its connection is gone: the row is
    locked until it ends.
    """
    number = connection.exec_driver_sql(_LOOK, {"writer": commit.writer}).scalar_one()
    return bool(number == commit.number)

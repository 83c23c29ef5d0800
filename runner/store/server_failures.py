"""What an error of PostgreSQL, or of the way to it, says to a person; and what may be tried again.

Owns the meaning of its codes (https://www.postgresql.org/docs/current/errcodes-appendix.html).
Imports nothing of psycopg: where there is an error of it, it has been imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import sqlalchemy as sa

from runner.core.errors import (
    DamagedDatabase,
    DiskFull,
    RunnerError,
    StoreBusy,
    StoreGone,
    StoreUnreachable,
    UsageError,
)

Again = Literal["lost", "conflict"]
"""Why the same may be done once more: the connection broke, or others wrote at the same time."""

CONFLICTS = ("40001", "40P01", "23505")
"""Serialization failure, deadlock, unique violation: of two that wrote at once, one came first."""

LOST = ("57P01", "57P02", "57P03", "57P05", "25P03")
"""The server ends, has crashed, is starting; the session was idle for too long."""

HINTS = (
    ("password authentication failed", "put the password into ~/.pgpass, or set PGPASSWORD"),
    ("no password supplied", "put the password into ~/.pgpass, or set PGPASSWORD"),
    ("does not exist", "`createdb NAME` makes a database, `createuser NAME` a user"),
    ("resolve host", "check the host's name in the URL"),
    ("no pg_hba.conf entry", "the server lets nobody in from here: see its pg_hba.conf"),
)
"""What to do, by a part of what the server says of a connection."""

STARTING = (
    *("starting up", "shutting down", "recovery mode", "not yet accepting"),
    *("too many clients", "too many connections", "remaining connection slots"),
)
"""Of a connection, what says that the server takes it in a moment."""


def is_of_server(error: BaseException | None) -> bool:
    """Return whether an error is one of psycopg."""
    return type(error).__module__.partition(".")[0] == "psycopg"


def again(error: BaseException) -> Again | None:
    """Return why what has failed may be done once more, or None."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not is_of_server(cause):
        return None
    code = _code(cause)
    if code in CONFLICTS:
        return "conflict"
    if code in LOST or code.startswith("08"):
        return "lost"
    # without a code it never came to the server, or the server never answered
    return "lost" if not code and _is(cause, "OperationalError") else None


def is_locked(error: BaseException) -> bool:
    """Return whether another held a lock for too long."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return _code(cause) == "55P03"


def is_starting(error: BaseException) -> bool:
    """Return whether the server refuses connections only for a moment."""
    return any(words in str(error) for words in STARTING)


def in_words(address: object, error: Any) -> RunnerError | BaseException:
    """Return what is raised for an error; one that only a wrong program makes stays as it is."""
    code, text = _code(error), _first_line(error)
    if again(error) == "lost":
        return StoreUnreachable(address, text)
    if code in ("53100", "53200"):
        return DiskFull(text)
    if code in ("55P03", "53300", *CONFLICTS):
        return StoreBusy(text)
    if code in ("25006", "42501"):
        hint = "ask its owner for the right to write: GRANT, or a database of your own"
        return UsageError(f"{address} cannot be written: {text}", hint=hint)
    if code in ("42P01", "42703"):
        return StoreGone(f"{address} is no longer what it was: {text}")
    if code.startswith("XX"):
        return DamagedDatabase(f"{address} is damaged: {text}", hint="see the server's log")
    if code in ("54011", "54001", "54000"):
        found = f"what is asked of {address} is too much for PostgreSQL: {text}"
        return UsageError(found, hint="ask for fewer columns or runs at once")
    if isinstance(error, BaseException):
        return error
    return RuntimeError("an error without a cause")


def cannot_connect(address: object, error: BaseException, secrets: Iterable[str]) -> UsageError:
    """Return the error for a database that cannot be opened; what is secret is not repeated."""
    text = _first_line(error)
    for secret in secrets:
        text = text.replace(secret, "…")
    hint = next((hint for part, hint in HINTS if part in text), "is the server running?")
    return UsageError(f"{address} cannot be opened: {text}", hint=hint)


def _code(error: Any) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _is(error: Any, name: str) -> bool:
    return any(each.__name__ == name for each in type(error).__mro__)


def _first_line(error: object) -> str:
    """Return what the server says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("Is the server", "LINE ", "^", "- "))]
    return (kept or lines or [type(error).__name__])[0]

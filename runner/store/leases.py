"""How long claims count, and by which clock: that of the machine, or of the database's server."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from runner.store.dialects import POSTGRES, Dialect, is_postgres
from runner.store.postgres import server_seconds


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a claim counts that is not renewed, and how often it is renewed, in seconds."""

    seconds: float
    renew_seconds: float


FILE_LEASE, SERVER_LEASE = Lease(120.0, 20.0), Lease(30.0, 5.0)
"""On one machine the dead are known at once; on several, only by what they do not renew."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time by both clocks, in seconds.

    Attributes:
        wall: since 1970; what processes on several machines have in common, and anyone may set.
        monotonic: since some moment of this boot; nobody sets it, and it stands while a machine
            sleeps.
        could_renew: whether the living have been able to renew their leases: not so when a server
            has just started.
        is_servers: whether it is the time of a server, which several machines use.
    """

    wall: float
    monotonic: float
    could_renew: bool = True
    is_servers: bool = False

    @classmethod
    def now(cls, connection: sa.Connection) -> Moment:
        """Return the present; between the machines that use a server, its clock is what counts."""
        if not is_postgres(connection):
            return cls(time.time(), time.monotonic())
        now, started = server_seconds(connection)
        return cls(now, time.monotonic(), now - started > SERVER_LEASE.seconds, True)


def lease_of(dialect: Dialect) -> Lease:
    """Return how long claims count in a kind of database."""
    return SERVER_LEASE if dialect is POSTGRES else FILE_LEASE

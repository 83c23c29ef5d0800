"""A claim as it is stored: whose it is, and until when."""

from __future__ import annotations

import sqlalchemy as sa

from runner.artifacts.process import this_process
from runner.store.dialects import dialect_of
from runner.store.leases import Moment, lease_of
from runner.store.schema import claims


def insert_claim(
    connection: sa.Connection, stage_key: str, attempt_id: int, moment: Moment
) -> None:
    """Store a claim of this process, within a writing transaction."""
    me = this_process()
    connection.execute(
        sa.insert(claims).values(
            stage_key=stage_key,
            attempt_id=attempt_id,
            host=me.host,
            boot_id=me.boot_id,
            pid=me.pid,
            process_started=me.started,
            process_ticks=me.ticks,
            **lease_values(connection, moment),
        )
    )


def lease_values(connection: sa.Connection, moment: Moment) -> dict[str, float]:
    """Return the ends of a lease that begins now, by both clocks."""
    seconds = lease_of(dialect_of(connection)).seconds
    return {
        "lease_until": moment.wall + seconds,
        "lease_monotonic": moment.monotonic + seconds,
    }

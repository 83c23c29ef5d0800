"""Locks on rows of a server's database, for transactions that write beside others.

A file has one writer at a time, and no locks of rows: SQLAlchemy leaves them out. Whoever needs
several takes them in this order: a stage and its claim, which who claims never waits for; the
claiming of stages; runs by their keys; artifacts by their names. Then no two wait for one another.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from runner.store.dialects import is_postgres
from runner.store.postgres import LOCK_OF_CLAIMING
from runner.store.rows import selected
from runner.store.schema import runs


def lock_claiming(connection: sa.Connection) -> None:
    """Let nobody else claim a stage until the end of the transaction.

    So nobody looks past a claim that is just being made, and attempts appear in the order of their
    ids: who looks for those after the newest that it knows misses none.
    """
    if is_postgres(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_OF_CLAIMING})")


def lock_runs(connection: sa.Connection, run_keys: Collection[str]) -> None:
    """Let nobody else change what becomes of some runs until the end of the transaction."""
    query = sa.select(runs.c.run_key).order_by(runs.c.run_key).with_for_update(key_share=True)
    list(selected(connection, query, runs.c.run_key, run_keys))

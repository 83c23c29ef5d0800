"""How connections to SQLite behave: durability, waiting for locks, transactions, JSON."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import Any

import sqlalchemy as sa

BUSY_SECONDS = 60
"""How long a transaction waits for the lock of another process."""


def to_json(value: Any) -> str:
    """Return JSON that keeps the order of mappings: columns of tables stand as written.

    Lone surrogates, which UTF-8 cannot hold, become JSON's own escapes.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def prepare_sqlite(engine: sa.Engine) -> None:
    """Let every connection wait for locks, keep its word, and begin transactions as asked."""

    @sa.event.listens_for(engine, "connect")
    def connect(raw: sqlite3.Connection, _: Any) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("runner_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def to_wal(engine: sa.Engine) -> None:
    """Switch a SQLite file to WAL, for good; does nothing when it was switched before.

    The switch ignores the busy timeout, hence the loop.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    with closing(engine.raw_connection()) as raw:
        while True:
            try:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

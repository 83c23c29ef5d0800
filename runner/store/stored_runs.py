"""Runs as they were recorded: their settings, by key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.checking import check_runs, refuse
from runner.store.database import Database, read_again
from runner.store.rows import batches, selected
from runner.store.schema import runs


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run.

    Attributes:
        settings: all of them, resolved, as JSON values.
        settings_key: their key.
    """

    settings: Mapping[str, Any]
    settings_key: str


@read_again
def recorded_runs(database: Database, run_keys: Collection[str]) -> dict[str, RecordedRun]:
    """Return runs by key.

    Raises:
        DamagedDatabase: when one is not what was recorded.
    """
    found: dict[str, RecordedRun] = {}
    query = sa.select(runs.c.run_key, runs.c.settings, runs.c.settings_key)
    with database.read() as connection:
        for batch in batches(run_keys):
            refuse(database.address, [check_runs(connection, batch)])
            for row in selected(connection, query, runs.c.run_key, batch):
                found[row.run_key] = RecordedRun(row.settings, row.settings_key)
    return found

"""Runs as they were recorded: their settings, by key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.checking import check_runs, refuse
from runner.store.database import Database, read_again
from runner.store.schema import runs

BATCH = 500


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
    keys, found = sorted(run_keys), dict[str, RecordedRun]()
    with database.read() as connection:
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            refuse(database.address, [check_runs(connection, batch)])
            query = sa.select(runs.c.run_key, runs.c.settings, runs.c.settings_key)
            for row in connection.execute(query.where(runs.c.run_key.in_(batch))):
                found[row.run_key] = RecordedRun(row.settings, row.settings_key)
    return found

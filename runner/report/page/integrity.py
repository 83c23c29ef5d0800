"""Holding what a page shows against its checksums, some runs at each reading.

All at once would take a second for thousands of runs, before anything is seen.
"""

from __future__ import annotations

from collections.abc import Collection

from runner.report.page.structure import Structure
from runner.report.tables.query import table_checks
from runner.store.checking import check_results, refuse
from runner.store.checksums import RESULT, at_ends
from runner.store.database import Database

AT_ONCE = 100
"""Runs that are checked in one reading."""

POINTS = (RESULT, "val_accuracy", *map(at_ends, ("test_accuracy", "val_loss", "train_loss")))
"""Of a result, what figures of a metric against a setting show; tables have their own."""


class Integrity:
    """Which runs of an experiment are still to be checked."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._unchecked = dict.fromkeys(sorted(structure.run_keys))

    def is_open(self) -> bool:
        """Return whether any run is still to be checked."""
        return bool(self._unchecked)

    def note(self, changed: Collection[str]) -> None:
        """Take runs that are new or changed: they are checked before all others."""
        self._unchecked = dict.fromkeys(changed) | self._unchecked

    def check(self, database: Database) -> None:
        """Check some runs; those that are damaged are checked again each time.

        Raises:
            DamagedDatabase: when one of them is not what was recorded.
        """
        batch = list(self._unchecked)[:AT_ONCE]
        if not batch:
            return
        with database.read() as connection:
            refuse(database.address, [check_results(connection, batch, POINTS)])
            for ref in self._structure.tables:
                checks = table_checks(connection, ref.table, ref.experiment, batch)
                refuse(database.address, checks)
        for key in batch:
            del self._unchecked[key]

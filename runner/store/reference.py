"""The reference: results that ship with the program.

Owns where they lie, how they are opened, and which of them count as done. Copying them into
another database is not done here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from runner.core.errors import UsageError
from runner.core.records import RunStatus
from runner.store.database import Database, open_database, read_again

REFERENCE_FILE = Path(__file__).resolve().parents[1] / "reference" / "results.db"
COUNTING = ("done", "diverged")
"""Statuses of results that count as done."""


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """How a run ended in the reference.

    Attributes:
        run_key: the run.
        rerun: which repetition there.
        status: done or diverged.
        device: name of the device, or `mixed`.
        recorded: when, seconds since 1970.
    """

    run_key: str
    rerun: int
    status: RunStatus
    device: str
    recorded: float


def open_reference(check: bool = True) -> Database:
    """Return the reference, open for reading.

    Args:
        check: look for damage first.

    Raises:
        UsageError: when it is not there, or is of a newer version.
        DamagedDatabase: when it is not whole.
    """
    if not REFERENCE_FILE.is_file():
        raise UsageError(f"this installation has no reference results: no file {REFERENCE_FILE}")
    return open_database(REFERENCE_FILE, read_only=True, check=check)


def is_reference_file(path: Path) -> bool:
    """Return whether a path is that of the reference's own file, which is never to be written."""
    return path.name == REFERENCE_FILE.name and path.resolve() == REFERENCE_FILE


@read_again
def reference_results(reference: Database, run_keys: Collection[str]) -> dict[str, ReferenceResult]:
    """Return the results in the reference that count as done, for those of the runs that have one.

    Args:
        reference: as :func:`open_reference` returns it.
        run_keys: the runs that are asked about.
    """
    query = sa.text("SELECT run_key, rerun, status, device, recorded FROM latest_results")
    with reference.read() as connection:
        found = {
            row.run_key: ReferenceResult(**row._mapping)
            for row in connection.execute(query)
            if row.status in COUNTING
        }
    return {key: found[key] for key in dict.fromkeys(run_keys) if key in found}


def reference_statuses(run_keys: Collection[str]) -> dict[str, RunStatus]:
    """Return how those of the runs ended that have a result in the reference.

    Raises:
        UsageError: when there is no reference, or it is not of this version.
    """
    with open_reference() as reference:
        found = reference_results(reference, run_keys)
    return {key: result.status for key, result in found.items()}

"""The reference beside a database: which of the wanted runs it has, and taking them over."""

from __future__ import annotations

from collections.abc import Iterable

from runner.bind.binder import BoundCell
from runner.core.types import RunStatus
from runner.store.database import Database
from runner.store.merge import take_results
from runner.store.reference import ReferenceResult, open_reference, reference_results


def import_reference(database: Database, chosen: Iterable[BoundCell]) -> list[ReferenceResult]:
    """Copy the results of the chosen cells that the database lacks; return what was copied.

    Raises:
        UsageError: when there is no reference, or it is not of this version.
    """
    reference = open_reference()
    try:
        return take_results(database, reference, {cell.run.run_key for cell in chosen})
    finally:
        reference.close()


def in_reference(chosen: Iterable[BoundCell]) -> dict[str, RunStatus]:
    """Return how those runs of the chosen cells ended that have a result in the reference.

    Raises:
        UsageError: when there is no reference, or it is not of this version.
    """
    reference = open_reference()
    try:
        found = reference_results(reference, {cell.run.run_key for cell in chosen})
    finally:
        reference.close()
    return {key: each.status for key, each in found.items()}

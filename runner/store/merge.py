"""Importing results of another database: what is lacking is copied, in batches.

As from the reference. The source is read and checked before anything is written; then each batch of
results is one transaction, complete by itself, and others write between two of them. Whatever stops
it leaves a whole database, and done again it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from runner.core.errors import StoreBusy
from runner.core.moments import reached
from runner.store.database import Database, read_again
from runner.store.merge_analyses import (
    analyses_of,
    analyses_without_numbers,
    copy_analyses,
    extract_analyses,
    lacks_analyses,
)
from runner.store.merge_source import Extract, Row, check_source, extract
from runner.store.merge_target import copy_results, runs_with_results
from runner.store.reference import ReferenceResult, open_reference, reference_results
from runner.store.rows import BATCH

Answer = TypeVar("Answer")

BATCH_SECONDS = 0.5
"""How long the transaction of a batch is to take: so long others wait."""

FIRST_BATCH = 8
"""Results in the first batch, which tells how long they take."""

TRIES = 5
"""How often a batch waits for a lock that others hold, each time as long as any transaction."""

ANALYSES = 50
"""In one transaction."""

PAUSE = 1.0
"""Seconds between two tries."""


Standing = tuple[int, int, str]
"""How many of how many are done, and of what, in words."""


@dataclass(frozen=True, slots=True)
class MergeListener:
    """Hears how a merge goes on.

    Attributes:
        on_progress: hears before each transaction how much is done; what it raises ends the merge.
        on_note: hears what a person should know.
    """

    on_progress: Callable[[int, int, str], None] = lambda done, total, what: None
    on_note: Callable[[str], None] = lambda note: None


SILENT = MergeListener()


def import_results(
    database: Database,
    reference: Database,
    run_keys: Collection[str],
    listener: MergeListener = SILENT,
) -> list[ReferenceResult]:
    """Copy the results that a database lacks from another, with all that belongs to them.

    Of several processes that do so at once, one copies each. Results that the database has stay as
    they are, but for failed ones; those that came from the other get the analyses that were added
    to it later.

    Args:
        database: where results are missing.
        reference: another, as :func:`open_reference` returns it.
        run_keys: the runs whose results are wanted.
        listener: hears how far it is.

    Returns:
        What was copied.

    Raises:
        DamagedDatabase: when what is to be copied is not what was recorded, which is seen first.
        StoreBusy: when others keep the database locked; what was copied stays.
    """
    found = reference_results(reference, run_keys)
    there = _with_results(database, list(found))
    lacking = [each for each in found.values() if each.run_key not in there]
    before = analyses_of(reference, [found[key] for key in found if key in there])
    later = _in_batches(analyses_without_numbers(database, before))
    for batch in later:
        extract_analyses(reference, batch)  # damage is seen before anything is copied
    copied = _copy_results(database, reference, lacking, listener)
    _copy_analyses(database, reference, later, listener)
    return copied


def _in_batches(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[start : start + ANALYSES] for start in range(0, len(rows), ANALYSES)]


def import_reference(
    database: Database, run_keys: Collection[str], listener: MergeListener = SILENT
) -> list[ReferenceResult]:
    """Copy the results in the reference that the database lacks; see :func:`import_results`.

    Raises:
        UsageError: when there is no reference, or it is not of this version.
    """
    with open_reference() as reference:
        return import_results(database, reference, run_keys, listener)


@read_again
def _with_results(database: Database, run_keys: Sequence[str]) -> set[str]:
    with database.read() as connection:
        return runs_with_results(connection, run_keys)


def _copy_results(
    database: Database,
    reference: Database,
    lacking: Sequence[ReferenceResult],
    listener: MergeListener,
) -> list[ReferenceResult]:
    total = len(lacking)
    checked = check_source(
        reference, lacking, lambda done: listener.on_progress(done, total, "results checked")
    )
    copied: list[ReferenceResult] = []
    left, size = list(lacking), FIRST_BATCH
    while left:
        batch = left[:size]
        copy = partial(_timed, extract(reference, batch, checked))
        at = (total - len(left), total, "results copied")
        there, seconds = transact_patiently(database, copy, listener, at)
        if there:  # of another process: nothing was copied, and the others are taken now
            left = [each for each in left if each.run_key not in there]
            continue
        reached("a batch of results copied")
        copied += batch
        left = left[size:]
        size = _next_size(size, seconds)
    listener.on_progress(total, total, "results copied")
    return copied


def _timed(found: Extract, target: sa.Connection) -> tuple[set[str], float]:
    """Copy results; return what :func:`copy_results` does, and the seconds without waiting."""
    began = time.monotonic()
    there = copy_results(found, target)
    reached("a batch of results copied, not committed")
    return there, time.monotonic() - began


def _next_size(size: int, seconds: float) -> int:
    """Return how many results to copy at once, when so many took so long."""
    fitting = int(size * BATCH_SECONDS / max(seconds, 1e-6))
    return max(1, min(fitting, 2 * size, BATCH))


def _copy_analyses(
    database: Database,
    reference: Database,
    batches: Sequence[Sequence[Row]],
    listener: MergeListener,
) -> None:
    total = sum(map(len, batches))
    for number, batch in enumerate(batches):
        found = extract_analyses(reference, batch)
        if lacks_analyses(database, found):
            at = (number * ANALYSES, total, "analyses copied")
            transact_patiently(database, partial(copy_analyses, found), listener, at)


def transact_patiently(
    database: Database,
    body: Callable[[sa.Connection], Answer],
    listener: MergeListener,
    at: Standing,
) -> Answer:
    """Return what a function returns that writes; wait several times for a lock of others.

    Args:
        database: where.
        body: as of :meth:`Database.transact`.
        listener: hears each time how far it is.
        at: how far that is.

    Raises:
        StoreBusy: when others hold the lock all the time; nothing was stored.
    """
    tries = 0
    while True:
        listener.on_progress(*at)
        try:
            return database.transact(body)
        except StoreBusy as error:
            tries += 1
            if tries == TRIES:
                raise
            listener.on_note(f"{database.address}: {error.found}; trying again")
            time.sleep(PAUSE)

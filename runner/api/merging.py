"""The verb `db merge`: the results of another database, copied into this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.api.frames import Framed
from runner.bind.workspace import REFERENCE, workspace
from runner.core.errors import UsageError
from runner.store.database import open_database
from runner.store.merge import MergeListener
from runner.store.merge_experiments import Name, merge
from runner.store.reference import ReferenceResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class MergeSummary(Framed):
    """What was copied from one database into another.

    Attributes:
        source: from where, without a password.
        target: to where, likewise.
        results: that were copied.
        num_results: how many the source has that are done.
        added: experiments that were copied: name and variant.
        kept: experiments of which the target has another version, which stayed.
        num_versions: how many earlier versions of experiments were copied.
        num_verifications: how many outcomes of `verify` were copied.
    """

    source: str
    target: str
    results: Sequence[ReferenceResult]
    num_results: int
    added: Sequence[Name]
    kept: Sequence[Name]
    num_versions: int
    num_verifications: int

    def frame(self) -> pd.DataFrame:
        """Return a row per copied result: columns run, status, device, recorded."""
        import pandas as pd

        rows = [(each.run_key, each.status, each.device, each.recorded) for each in self.results]
        return pd.DataFrame(rows, columns=["run", "status", "device", "recorded"])


def merge_databases(
    source: str | Path,
    db: str | Path | None = None,
    on_progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> MergeSummary:
    """Copy what a database lacks from another: results with all numbers, experiments with cells.

    Each may be a file or a server's database. Copied results count as done; their weights stay
    where they are. What the database has stays as it is. Runs without a result are asked for by
    nobody there. Earlier versions of experiments are copied too, and what `verify` recorded.

    Results are copied in batches, the rest after them. Others write between two batches; a merge
    that was stopped leaves a whole database, and done again it goes on.

    Args:
        source: the other database, which is only read.
        db: the database, which is made where there is none; results.db when not given.
        on_progress: hears between batches how many of how many are done, and of what; what it
            raises ends the merge.
        on_note: hears when others keep the database locked.

    Raises:
        UsageError: when there is no source, or both are the same.
        DamagedDatabase: when what is to be copied is not what was recorded, which is seen first.
        StoreBusy: when others keep the database locked for minutes; what was copied stays.
        StoreUnreachable: when the server of one of them does not answer, which it names.
    """
    home = workspace(db)
    if home.database_path == REFERENCE:
        raise UsageError("the reference is read-only", hint="name a database of your own with --db")
    source_now = open_database(source, create=False, read_only=True, is_written=True)
    with source_now as other, home.open() as database:
        found = merge(database, other, MergeListener(on_progress, on_note))
        places = str(other.address), str(database.address)
    counts = found.num_versions, found.num_verifications
    return MergeSummary(*places, found.results, found.num_results, found.added, found.kept, *counts)

"""What a merge reads: results of another database, checked, with all that belongs to them.

Reads one database and writes none, so that nothing is locked meanwhile, and what goes wrong is told
of the database that is read. Each function begins anew where the connection breaks in its middle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import sqlalchemy as sa

from runner.core.artifacts import ArtifactName
from runner.store.attempts_behind import attempts_behind
from runner.store.checking import (
    Checked,
    check_analyses,
    check_attempts,
    check_environments,
    check_results,
    check_runs,
    refuse,
)
from runner.store.database import Database, read_again
from runner.store.failures import damaged
from runner.store.reference import ReferenceResult
from runner.store.rows import rows_with
from runner.store.schema import (
    analyses,
    artifacts,
    attempts,
    claims,
    environments,
    metadata,
    results,
    run_epochs,
    run_stages,
    runs,
    stages,
)

MEASURED = tuple(
    table
    for table in metadata.sorted_tables
    if "attempt_id" in table.c and table not in (claims, run_epochs)
)
"""The tables of what attempts measured."""

OF_RESULTS = (results, run_epochs, run_stages, analyses)
"""The tables whose rows belong to one repetition of a run."""

CHECKED = 100
"""Results that are checked at once: of a server, in about a second."""

Row = dict[str, Any]
Moved = Callable[[int], None]
"""Hears how many results have been looked at, before each batch of them."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What some results consist of, complete by itself.

    Attributes:
        reruns: which repetition of each run, in the source.
        rows: as they are stored, by table.
    """

    reruns: Mapping[str, int]
    rows: Mapping[sa.Table, list[Row]]


@read_again
def check_source(
    source: Database, wanted: Sequence[ReferenceResult], on_moved: Moved
) -> dict[str, str | None]:
    """Check results with all that they rest on; return the stored checksum of each, by run.

    Raises:
        DamagedDatabase: when something is not what was recorded.
    """
    sums: dict[str, str | None] = {}
    with source.read() as connection:
        if wanted:
            refuse(source.address, [check_attempts(connection), check_environments(connection)])
        for start in range(0, len(wanted), CHECKED):
            on_moved(start)
            reruns = {each.run_key: each.rerun for each in wanted[start : start + CHECKED]}
            sums |= {
                row["run_key"]: row["checksum"] for row in _of_results(connection, results, reruns)
            }
            checks = (check_runs(connection, reruns), check_results(connection, reruns))
            refuse(source.address, [*checks, *check_analyses(connection, reruns)])
    return sums


@read_again
def extract(
    source: Database, wanted: Sequence[ReferenceResult], checked: Mapping[str, str | None]
) -> Extract:
    """Return what some results consist of, as it was recorded.

    Args:
        source: is read, in one transaction.
        wanted: a batch of results.
        checked: as :func:`check_source` returns them. What has been recorded since is checked now.

    Raises:
        DamagedDatabase: when something is not what was recorded.
    """
    reruns = {each.run_key: each.rerun for each in wanted}
    with source.read() as connection:
        rows = {table: _of_results(connection, table, reruns) for table in OF_RESULTS}
        if len(rows[results]) != len(reruns):
            raise damaged(source.address, "results are gone that were there a moment ago")
        rows |= rows_of_attempts(connection, attempts_behind(connection, reruns.items()))
        rows[analyses] = made_analyses(rows)
        keys = {
            row["stage_key"] for table in (run_stages, analyses, attempts) for row in rows[table]
        }
        rows[runs] = rows_with(connection, runs, runs.c.run_key, reruns)
        rows[stages] = rows_with(connection, stages, stages.c.stage_key, keys)
        rows[artifacts] = _lasting_artifacts(connection, keys, rows[run_stages])
        changed = [
            row["run_key"] for row in rows[results] if row["checksum"] != checked[row["run_key"]]
        ]
        checks = (check_runs(connection, reruns), check_results(connection, changed))
        refuse(source.address, [*checks, *checks_of_attempts(connection, rows)])
        refuse(source.address, check_analyses(connection, reruns))
    return Extract(reruns, rows)


def made_analyses(rows: Mapping[sa.Table, list[Row]]) -> list[Row]:
    """Return the analyses that were made; in another database, the others would be asked for."""
    made = {row["stage_key"] for row in rows[attempts]}
    return [row for row in rows[analyses] if row["stage_key"] in made]


def _of_results(connection: sa.Connection, table: sa.Table, reruns: Mapping[str, int]) -> list[Row]:
    """Return the rows of some repetitions of runs."""
    rows = rows_with(connection, table, table.c.run_key, reruns)
    return [row for row in rows if row["rerun"] == reruns[row["run_key"]]]


def rows_of_attempts(connection: sa.Connection, ids: Collection[int]) -> dict[sa.Table, list[Row]]:
    """Return the rows of attempts, in their order, of what they measured and of their machines."""
    tried = rows_with(connection, attempts, attempts.c.id, ids)
    tried.sort(key=lambda row: int(row["id"]))
    machines = {row["environment_id"] for row in tried}
    rows = {table: rows_with(connection, table, table.c.attempt_id, ids) for table in MEASURED}
    rows[environments] = rows_with(connection, environments, environments.c.id, machines)
    rows[attempts] = tried
    return rows


def checks_of_attempts(
    connection: sa.Connection, rows: Mapping[sa.Table, list[Row]]
) -> Iterator[Checked]:
    """Yield the checks of attempts and their machines, whose rows have just been read."""
    yield check_attempts(connection, {row["stage_key"] for row in rows[attempts]})
    yield check_environments(connection, {row["id"] for row in rows[environments]})


def _lasting_artifacts(
    connection: sa.Connection, stage_keys: Collection[str], chains: Sequence[Row]
) -> list[Row]:
    """Return the digests of pixels and of what runs keep, not of what others go on from."""
    rows = rows_with(connection, artifacts, artifacts.c.stage_key, stage_keys)
    solo_keys = {row["reading"] for row in chains}
    return [row for row in rows if _is_of_runs(ArtifactName.parse(row["name"]), solo_keys)]


def _is_of_runs(name: ArtifactName, solo_keys: Collection[str]) -> bool:
    """Return whether an artifact is of images, or weights or logits of one of these runs."""
    match name.kind:
        case "pixels":
            return True
        case "weights" | "logits":
            return name.key in solo_keys
        case "features" | "changed" | "states" | "checkpoints" | "analyses":
            return False
        case _:
            assert_never(name.kind)

"""Importing results from the reference: a run's records, copied into another database.

Its result, what was measured, by which attempts, on what machine. Copied attempts have the status
`reference`, which no plan takes for work that was done here: their weights are not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, assert_never

import sqlalchemy as sa

from runner.core.artifacts import ArtifactName
from runner.store.analysis_values import newest_attempt
from runner.store.attempts_behind import ENDED, attempts_behind, renumbered
from runner.store.catalogue import environment_id
from runner.store.checking import (
    check_analyses,
    check_attempts,
    check_environments,
    check_results,
    check_runs,
    refuse,
)
from runner.store.checksums import seal_attempts, seal_results, seal_runs
from runner.store.database import Database
from runner.store.new_rows import BATCH, insert_new
from runner.store.reference import (
    COUNTING,
    ReferenceResult,
    open_reference,
    reference_results,
)
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


def import_results(
    database: Database, reference: Database, run_keys: Collection[str]
) -> list[ReferenceResult]:
    """Copy the results that a database lacks from the reference, with all that belongs to them.

    One transaction: of several processes that do so at once, one copies. Results that the database
    has stay as they are, but for failed ones; those that came from the reference get the analyses
    that were added to it later.

    Args:
        database: where results are missing.
        reference: as :func:`open_reference` returns it.
        run_keys: the runs whose results are wanted.

    Returns:
        What was copied.

    Raises:
        DamagedDatabase: when the reference is not what was packed.
    """
    found = reference_results(reference, run_keys)
    with reference.read() as source, database.read() as connection:
        lacking = found.keys() - _runs_with_results(connection)
        if not lacking and not _later_analyses(source, connection, found.values()):
            return []

    def copy(target: sa.Connection) -> list[ReferenceResult]:
        there = _runs_with_results(target)
        imported = [each for each in found.values() if each.run_key not in there]
        keys = [each.run_key for each in imported]
        checks = (check_runs(source, keys), check_results(source, keys))
        refuse(reference.address, (*checks, check_attempts(source), check_environments(source)))
        refuse(reference.address, check_analyses(source, list(found)))
        _Copy(source, target, imported).copy()
        later = _later_analyses(source, target, found.values())
        _Copy(source, target, list(found.values())).add_analyses(later)
        return imported

    with reference.read() as source:
        return database.transact(copy)


def import_reference(database: Database, run_keys: Collection[str]) -> list[ReferenceResult]:
    """Copy the results in the reference that the database lacks; see :func:`import_results`.

    Raises:
        UsageError: when there is no reference, or it is not of this version.
    """
    with open_reference() as reference:
        return import_results(database, reference, run_keys)


def _runs_with_results(connection: sa.Connection) -> set[str]:
    query = sa.select(results.c.run_key).where(results.c.status.in_(COUNTING))
    return set(connection.execute(query).scalars())


def _later_analyses(
    source: sa.Connection, target: sa.Connection, found: Iterable[ReferenceResult]
) -> list[dict[str, Any]]:
    """Return the analyses in the reference of results that came from it and lack their numbers."""
    wanted = {(each.run_key, each.rerun) for each in found}
    rows = [
        row
        for row in _rows(source, analyses, "run_key", {key for key, _ in wanted})
        if (row["run_key"], row["rerun"]) in wanted
    ]
    query = sa.select(attempts.c.stage_key).where(attempts.c.status.in_(ENDED))
    made = set(target.execute(query).scalars()) if rows else set()
    trained = {
        (row["stage_key"], row["started"])
        for row in _rows(target, attempts, "stage_key", _trainings(source, wanted))
        if row["status"] == "reference"
    }
    return [
        row
        for row in rows
        if row["stage_key"] not in made
        and trained.issuperset(_read(source, row["run_key"], row["rerun"]))
    ]


def _read(source: sa.Connection, run_key: str, rerun: int) -> set[tuple[str, float]]:
    """Return stage and beginning of the attempts whose epochs a result reads."""
    query = (
        sa.select(attempts.c.stage_key, attempts.c.started)
        .join(run_epochs, run_epochs.c.attempt_id == attempts.c.id)
        .where(run_epochs.c.run_key == run_key, run_epochs.c.rerun == rerun)
    )
    return {(row.stage_key, row.started) for row in source.execute(query)}


def _trainings(source: sa.Connection, which: Collection[tuple[str, int]]) -> set[str]:
    """Return the stages of the attempts whose epochs some results read."""
    return {key for run, rerun in which for key, _ in _read(source, run, rerun)}


def _rows(
    connection: sa.Connection, table: sa.Table, column: str, values: Iterable[Any]
) -> list[dict[str, Any]]:
    """Return the rows of a table with one of these values in a column."""
    found: list[dict[str, Any]] = []
    wanted = sorted(set(values))
    for start in range(0, len(wanted), BATCH):
        query = sa.select(table).where(table.c[column].in_(wanted[start : start + BATCH]))
        found += [dict(row._mapping) for row in connection.execute(query)]
    return found


class _Copy:
    """Copies results from one database into another, within a writing transaction."""

    def __init__(
        self, source: sa.Connection, target: sa.Connection, imported: Sequence[ReferenceResult]
    ) -> None:
        self._source = source
        self._target = target
        self._from = {each.run_key: each.rerun for each in imported}
        failed = sa.text("SELECT run_key, rerun FROM latest_results")
        numbers = {row.run_key: row.rerun for row in target.execute(failed)}
        self._to = {key: numbers.get(key, 0) for key in self._from}

    def copy(self) -> None:
        """Copy everything."""
        behind = attempts_behind(self._source, self._from.items())
        tried = _rows(self._source, attempts, "id", behind)
        chains = self._of_results(run_stages)
        keys = [row["stage_key"] for row in [*chains, *tried, *self._of_results(analyses)]]
        known = _rows(self._source, runs, "run_key", self._from)
        seal_runs(self._target, insert_new(self._target, runs, "run_key", known))
        insert_new(
            self._target, stages, "stage_key", _rows(self._source, stages, "stage_key", keys)
        )
        ids = self._attempts(sorted(tried, key=lambda row: int(row["id"])))
        self._results(chains, ids)
        self._artifacts(keys, {row["reading"] for row in chains})

    def add_analyses(self, rows: Sequence[dict[str, Any]]) -> None:
        """Copy analyses of results that are there: what made them, and their numbers."""
        keys = [row["stage_key"] for row in rows]
        known = _rows(self._source, stages, "stage_key", keys)
        insert_new(self._target, stages, "stage_key", known)
        newest = [newest_attempt(self._source, key) for key in dict.fromkeys(keys)]
        ids = [attempt.id for attempt in newest if attempt is not None]
        self._attempts(_rows(self._source, attempts, "id", ids))
        for row in rows:
            numbered = {**row, "rerun": self._to[row["run_key"]]}
            same = [
                analyses.c[name] == numbered[name] for name in ("run_key", "rerun", "analysis_key")
            ]
            if self._target.execute(sa.select(analyses.c.kind).where(*same)).first() is None:
                self._insert(analyses, [numbered])

    def _of_results(self, table: sa.Table) -> list[dict[str, Any]]:
        """Return the rows of the imported repetitions, with their numbers in the target."""
        return [
            {**row, "rerun": self._to[row["run_key"]]}
            for row in _rows(self._source, table, "run_key", self._from)
            if row["rerun"] == self._from[row["run_key"]]
        ]

    def _attempts(self, tried: Sequence[dict[str, Any]]) -> dict[int, int]:
        """Copy attempts and what they measured; return their new ids by the old ones."""
        keys = [row["stage_key"] for row in tried]
        there = _rows(self._target, attempts, "stage_key", keys)
        same = {(row["stage_key"], row["started"]): int(row["id"]) for row in there}
        newest = {row["stage_key"]: 0 for row in tried}
        for row in there:
            newest[row["stage_key"]] = max(newest[row["stage_key"]], row["number"])
        machines = {row["id"]: row["content"] for row in self._machines(tried)}
        ids: dict[int, int] = {}
        new: dict[int, int] = {}
        for row in tried:
            key = row["stage_key"]
            if (key, row["started"]) in same:  # imported before, with another run
                ids[row["id"]] = same[key, row["started"]]
                continue
            newest[key] += 1
            machine = environment_id(self._target, machines[row["environment_id"]])
            values = {**row, "number": newest[key], "environment_id": machine}
            values |= {"status": "reference", "outcome": None}
            del values["id"]
            inserted = self._target.execute(sa.insert(attempts).values(**values))
            assert inserted.inserted_primary_key is not None
            ids[row["id"]] = new[row["id"]] = int(inserted.inserted_primary_key[0])
        for row in tried:
            if row["id"] in new and row["outcome"] is not None:
                self._target.execute(
                    sa.update(attempts)
                    .where(attempts.c.id == new[row["id"]])
                    .values(outcome=renumbered(row["outcome"], ids))
                )
        seal_attempts(self._target, new.values())
        self._measured(new)
        return ids

    def _machines(self, tried: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        wanted = [row["environment_id"] for row in tried]
        return _rows(self._source, environments, "id", wanted)

    def _measured(self, new: Mapping[int, int]) -> None:
        for table in MEASURED:
            rows = _rows(self._source, table, "attempt_id", new)
            self._insert(table, [{**row, "attempt_id": new[row["attempt_id"]]} for row in rows])

    def _results(self, chains: Sequence[dict[str, Any]], ids: Mapping[int, int]) -> None:
        """Put results, their epochs and stages in the place of what a failed or open run left."""
        for table in (run_epochs, results, run_stages, analyses):
            for key, rerun in self._to.items():
                mine = (table.c.run_key == key) & (table.c.rerun == rerun)
                self._target.execute(sa.delete(table).where(mine))
        self._insert(results, self._of_results(results))
        read, wanted = self._of_results(run_epochs), self._of_results(analyses)
        self._insert(run_epochs, [{**row, "attempt_id": ids[row["attempt_id"]]} for row in read])
        self._insert(run_stages, chains)
        self._insert(analyses, wanted)
        seal_results(self._target, list(self._to.items()))

    def _artifacts(self, stage_keys: Collection[str], solo_keys: Collection[str]) -> None:
        """Copy the digests of pixels and of what runs keep, not of what others go on from."""
        rows = _rows(self._source, artifacts, "stage_key", stage_keys)
        named = [(ArtifactName.parse(row["name"]), row) for row in rows]
        mine = [row for name, row in named if _is_of_runs(name, solo_keys)]
        insert_new(self._target, artifacts, "name", mine)

    def _insert(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(rows), BATCH):
            self._target.execute(sa.insert(table), rows[start : start + BATCH])


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

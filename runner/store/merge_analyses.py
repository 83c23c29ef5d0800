"""Analyses that were added to results after these had been copied: they are copied later.

Only to results that came from there: their trainings are told by stage and beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from runner.store.analysis_values import newest_attempts
from runner.store.attempts_behind import ENDED
from runner.store.checking import check_analyses, refuse
from runner.store.database import Database, read_again
from runner.store.merge_source import Row, checks_of_attempts, made_analyses, rows_of_attempts
from runner.store.merge_target import copy_attempts, latest_reruns
from runner.store.reference import ReferenceResult
from runner.store.rows import insert, insert_new, rows_with
from runner.store.schema import analyses, attempts, run_epochs, stages

Beginning = tuple[str, float]
"""Of an attempt: its stage and when it began, which is the same in copies."""


@dataclass(frozen=True, slots=True)
class LaterAnalyses:
    """Analyses of results, with what made them.

    Attributes:
        analyses: their rows in the source.
        trainings: of each run, the attempts whose epochs it reads.
        rows: of their stages and attempts, by table.
    """

    analyses: Sequence[Row]
    trainings: Mapping[str, frozenset[Beginning]]
    rows: Mapping[sa.Table, list[Row]]


@read_again
def analyses_of(source: Database, wanted: Sequence[ReferenceResult]) -> list[Row]:
    """Return the analyses of results, as they are stored."""
    reruns = {each.run_key: each.rerun for each in wanted}
    with source.read() as connection:
        rows = rows_with(connection, analyses, analyses.c.run_key, reruns)
    return [row for row in rows if row["rerun"] == reruns[row["run_key"]]]


@read_again
def analyses_without_numbers(database: Database, rows: Sequence[Row]) -> list[Row]:
    """Return those of some analyses of which a database has no numbers."""
    with database.read() as connection:
        return _without_numbers(connection, rows)


def _without_numbers(connection: sa.Connection, rows: Sequence[Row]) -> list[Row]:
    columns = (attempts.c.stage_key, attempts.c.status)
    keys = [row["stage_key"] for row in rows]
    tried = rows_with(connection, columns, attempts.c.stage_key, keys)
    made = {row["stage_key"] for row in tried if row["status"] in ENDED}
    return [row for row in rows if row["stage_key"] not in made]


@read_again
def extract_analyses(source: Database, wanted: Sequence[Row]) -> LaterAnalyses:
    """Return analyses with what made them, as it was recorded.

    Raises:
        DamagedDatabase: when something is not what was recorded.
    """
    reruns = {row["run_key"]: row["rerun"] for row in wanted}
    keys = {row["stage_key"] for row in wanted}
    with source.read() as connection:
        rows = rows_of_attempts(connection, set(newest_attempts(connection, keys).values()))
        rows[analyses] = list(wanted)
        rows[analyses] = made_analyses(rows)
        rows[stages] = rows_with(connection, stages, stages.c.stage_key, keys)
        refuse(source.address, check_analyses(connection, reruns))
        refuse(source.address, checks_of_attempts(connection, rows))
        trainings: dict[str, set[Beginning]] = {key: set() for key in reruns}
        for key, beginning in _beginnings(connection, reruns):
            trainings[key].add(beginning)
    fixed = {key: frozenset(each) for key, each in trainings.items()}
    return LaterAnalyses(rows[analyses], fixed, rows)


def _beginnings(
    connection: sa.Connection, reruns: Mapping[str, int]
) -> Iterator[tuple[str, Beginning]]:
    """Yield each run with an attempt whose epochs it reads."""
    columns = (run_epochs.c.run_key, run_epochs.c.rerun, run_epochs.c.attempt_id)
    read = rows_with(connection, columns, run_epochs.c.run_key, reruns)
    named = (attempts.c.id, attempts.c.stage_key, attempts.c.started)
    tried = rows_with(connection, named, attempts.c.id, {row["attempt_id"] for row in read})
    began = {row["id"]: (row["stage_key"], row["started"]) for row in tried}
    for row in read:
        if row["rerun"] == reruns[row["run_key"]]:
            yield row["run_key"], began[row["attempt_id"]]


@read_again
def lacks_analyses(database: Database, found: LaterAnalyses) -> bool:
    """Return whether a database lacks analyses of results that came from the same trainings."""
    with database.read() as connection:
        return bool(_lacking(connection, found))


def _lacking(connection: sa.Connection, found: LaterAnalyses) -> list[Row]:
    trainings = {key for each in found.trainings.values() for key, _ in each}
    columns = (attempts.c.stage_key, attempts.c.started, attempts.c.status)
    copied = {
        (row["stage_key"], row["started"])
        for row in rows_with(connection, columns, attempts.c.stage_key, trainings)
        if row["status"] == "reference"
    }
    return [
        row
        for row in _without_numbers(connection, found.analyses)
        if copied.issuperset(found.trainings[row["run_key"]])
    ]


def copy_analyses(found: LaterAnalyses, target: sa.Connection) -> None:
    """Copy the analyses that a database lacks, within a writing transaction."""
    wanted = _lacking(target, found)
    keys = {row["stage_key"] for row in wanted}
    of_stages, of_attempts = (
        [row for row in found.rows[table] if row["stage_key"] in keys]
        for table in (stages, attempts)
    )
    insert_new(target, stages, "stage_key", of_stages)
    copy_attempts(target, {**found.rows, attempts: of_attempts})
    reruns = latest_reruns(target, {row["run_key"] for row in wanted})
    names = ("run_key", "rerun", "analysis_key")
    known = {
        tuple(row[name] for name in names)
        for row in rows_with(target, analyses, analyses.c.run_key, reruns)
    }
    moved = [{**row, "rerun": reruns[row["run_key"]]} for row in wanted]
    insert(
        target, analyses, [row for row in moved if tuple(row[name] for name in names) not in known]
    )

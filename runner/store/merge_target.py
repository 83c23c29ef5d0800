"""What a merge writes: results of another database with all that belongs to them.

Within a writing transaction, from rows that have been read and checked before: others wait for no
more than the writing. Copied attempts have the status `reference`, which no plan takes for work
that was done here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

import sqlalchemy as sa

from runner.store.attempts_behind import renumbered
from runner.store.catalogue import environment_id
from runner.store.checksums import seal_attempts, seal_results, seal_runs
from runner.store.merge_source import MEASURED, OF_RESULTS, Extract, Row
from runner.store.reference import COUNTING
from runner.store.rows import BATCH, insert, insert_new, rows_with
from runner.store.schema import (
    analyses,
    artifacts,
    attempts,
    environments,
    results,
    run_epochs,
    run_stages,
    runs,
    stages,
)


def runs_with_results(connection: sa.Connection, run_keys: Iterable[str]) -> set[str]:
    """Return those of some runs that have a result which counts as done."""
    columns = (results.c.run_key, results.c.status)
    rows = rows_with(connection, columns, results.c.run_key, run_keys)
    return {row["run_key"] for row in rows if row["status"] in COUNTING}


def latest_reruns(connection: sa.Connection, run_keys: Collection[str]) -> dict[str, int]:
    """Return the repetition of each run whose result is shown; 0 of those without a result."""
    latest = sa.table("latest_results", sa.column("run_key"), sa.column("rerun"))
    columns = (latest.c.run_key, latest.c.rerun)
    rows = rows_with(connection, columns, latest.c.run_key, run_keys)
    return dict.fromkeys(run_keys, 0) | {row["run_key"]: int(row["rerun"]) for row in rows}


def copy_results(found: Extract, target: sa.Connection) -> set[str]:
    """Copy results that are not there.

    Returns:
        Those of the runs that another process has brought to a result meanwhile; where there are
        any, nothing was copied.
    """
    there = runs_with_results(target, found.reruns)
    if not there:
        _copy(found, target)
    return there


def _copy(found: Extract, target: sa.Connection) -> None:
    reruns = latest_reruns(target, found.reruns)
    new = insert_new(target, runs, "run_key", found.rows[runs])
    sealed = {row["run_key"] for row in found.rows[runs] if row["checksum"] is not None}
    seal_runs(target, set(new) - sealed)
    insert_new(target, stages, "stage_key", found.rows[stages])
    ids = copy_attempts(target, found.rows)
    rows = {
        table: [{**row, "rerun": reruns[row["run_key"]]} for row in found.rows[table]]
        for table in OF_RESULTS
    }
    rows[run_epochs] = [{**row, "attempt_id": ids[row["attempt_id"]]} for row in rows[run_epochs]]
    # in the place of what a failed or open run left
    for table in (run_epochs, results, run_stages, analyses):
        for key in reruns.keys() - set(new):
            mine = (table.c.run_key == key) & (table.c.rerun == reruns[key])
            target.execute(sa.delete(table).where(mine))
    for table in (results, run_epochs, run_stages, analyses):
        insert(target, table, rows[table])
    insert_new(target, artifacts, "name", found.rows[artifacts])
    known = _lasting_checksums(found, ids)
    which = [(key, reruns[key]) for key in found.reruns]
    seal_results(target, [each for each in which if each[0] not in known])
    if known:
        copies = {each: known[each[0]] for each in which if each[0] in known}
        seal_results(target, list(copies), copies)


def _lasting_checksums(found: Extract, ids: Mapping[int, int]) -> dict[str, Mapping[str, str]]:
    """Return the checksums of results that hold for their copies, too.

    Those of numbers are taken in the order of attempts, which is another one where some of a run's
    attempts had come before, with other runs.
    """
    moved: dict[str, list[int]] = {}
    for row in sorted(found.rows[run_epochs], key=lambda row: int(row["attempt_id"])):
        moved.setdefault(row["run_key"], []).append(ids[row["attempt_id"]])
    return {
        row["run_key"]: json.loads(row["checksum"])
        for row in found.rows[results]
        if row["checksum"] is not None
        and moved.get(row["run_key"], []) == sorted(moved.get(row["run_key"], []))
    }


def copy_attempts(target: sa.Connection, rows: Mapping[sa.Table, Sequence[Row]]) -> dict[int, int]:
    """Copy attempts with what they measured; return their ids by those in the source.

    Those that have come before, with another run, are not copied again.
    """
    tried = rows[attempts]
    columns = tuple(attempts.c[name] for name in ("id", "stage_key", "number", "started"))
    there = rows_with(target, columns, attempts.c.stage_key, (row["stage_key"] for row in tried))
    same = {(row["stage_key"], row["started"]): int(row["id"]) for row in there}
    newest = dict.fromkeys((row["stage_key"] for row in tried), 0)
    for row in there:
        newest[row["stage_key"]] = max(newest[row["stage_key"]], row["number"])
    contents = {row["id"]: row["content"] for row in rows[environments]}
    machine = cache(lambda number: environment_id(target, contents[number]))
    ids: dict[int, int] = {}
    fresh: list[Row] = []
    for row in tried:
        key = row["stage_key"]
        if (key, row["started"]) in same:
            ids[row["id"]] = same[key, row["started"]]
            continue
        newest[key] += 1
        moved = {"number": newest[key], "environment_id": machine(row["environment_id"])}
        fresh.append({**row, **moved})
    new = _insert_attempts(target, fresh)
    ids |= new
    _name_attempts(target, fresh, ids)
    seal_attempts(target, new.values())
    for table in MEASURED:
        mine = [row for row in rows[table] if row["attempt_id"] in new]
        insert(target, table, [{**row, "attempt_id": new[row["attempt_id"]]} for row in mine])
    return ids


def _insert_attempts(target: sa.Connection, fresh: Sequence[Row]) -> dict[int, int]:
    """Insert attempts in their order, without outcomes; return their ids by those in the source."""
    ids: dict[int, int] = {}
    statement = sa.insert(attempts).returning(attempts.c.id, sort_by_parameter_order=True)
    for start in range(0, len(fresh), BATCH):
        batch = fresh[start : start + BATCH]
        values = [{**row, "status": "reference", "outcome": None} for row in batch]
        for each in values:
            del each["id"]
        inserted = target.execute(statement, values).scalars()
        ids |= {row["id"]: int(number) for row, number in zip(batch, inserted, strict=True)}
    return ids


def _name_attempts(target: sa.Connection, fresh: Sequence[Row], ids: Mapping[int, int]) -> None:
    """Store the outcomes of attempts, which name attempts."""
    which: sa.BindParameter[int] = sa.bindparam("which")
    outcome: sa.BindParameter[Row] = sa.bindparam("named")
    statement = sa.update(attempts).where(attempts.c.id == which).values(outcome=outcome)
    values = [
        {"which": ids[row["id"]], "named": renumbered(row["outcome"], ids)}
        for row in fresh
        if row["outcome"] is not None
    ]
    if values:
        target.execute(statement, values)

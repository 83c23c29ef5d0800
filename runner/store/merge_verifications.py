"""What `verify` recorded and a database lacks, copied from another one.

An outcome has no key: it is the same one where all that was recorded of it is the same, its moment
and its machine included. Its number is each database's own; the runs in it are known by their keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from runner.core.keys import canonical_json
from runner.core.moments import reached
from runner.store.catalogue import environment_id
from runner.store.checking import check_environments, refuse
from runner.store.database import Database, read_again
from runner.store.failures import damaged
from runner.store.merge import MergeListener, transact_patiently
from runner.store.merge_source import Row
from runner.store.rows import batches, insert, rows_with
from runner.store.schema import environments, verifications

TOGETHER = 50
"""In one transaction."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome of `verify` in a database.

    Attributes:
        number: its id there.
        key: all that was recorded of it, as one text.
        row: as it is stored, without ids.
        environment: versions, machine and code.
    """

    number: int
    key: str
    row: Row
    environment: Mapping[str, Any]


def lacking_verifications(database: Database, other: Database) -> list[int]:
    """Return which outcomes in another database one lacks, by their ids there.

    Raises:
        DamagedDatabase: when one of them is not what was recorded, as far as that can be seen.
    """
    lacking: list[int] = []
    for numbers in batches(_ids(other), TOGETHER):
        found = _outcomes(other, numbers)
        there = _keys_there(database, found)
        lacking += [outcome.number for outcome in found if outcome.key not in there]
    return lacking


def copy_verifications(
    database: Database, other: Database, lacking: Sequence[int], listener: MergeListener
) -> int:
    """Copy outcomes in batches, each a transaction; return how many were still lacking.

    Raises:
        DamagedDatabase: when one of them is not what was recorded.
        StoreBusy: when others keep the database locked; what was copied stays.
    """
    copied = 0
    for batch, numbers in enumerate(batches(lacking, TOGETHER)):
        add = partial(_add, _outcomes(other, numbers))
        at = (batch * TOGETHER, len(lacking), "verifications copied")
        copied += transact_patiently(database, add, listener, at)
        reached("a batch of verifications copied")
    return copied


@read_again
def _ids(database: Database) -> list[int]:
    with database.read() as connection:
        query = sa.select(verifications.c.id).order_by(verifications.c.id)
        return list(connection.execute(query).scalars())


@read_again
def _outcomes(other: Database, numbers: Sequence[int]) -> list[Outcome]:
    """Return outcomes in their order, as they were recorded."""
    with other.read() as connection:
        rows = rows_with(connection, verifications, verifications.c.id, numbers)
        machines = {row["environment_id"] for row in rows}
        refuse(other.address, [check_environments(connection, machines)])
        there = rows_with(connection, environments, environments.c.id, machines)
    by_id = {row["id"]: row for row in there}
    if len(rows) != len(numbers) or by_id.keys() != machines:
        raise damaged(other.address, "outcomes of `verify` or their machines are gone")
    for row in rows:
        _check(other, row)
    rows.sort(key=lambda row: int(row["id"]))
    return [_outcome(row, by_id[row["environment_id"]]) for row in rows]


def _outcome(row: Row, machine: Row) -> Outcome:
    return Outcome(row["id"], _key(row, machine["key"]), _kept(row), machine["content"])


def _check(other: Database, row: Row) -> None:
    """Refuse what `verify` never records. An outcome has no checksum: other damage is not seen."""
    are_objects = all(isinstance(run, dict) for run in row["runs"])
    try:
        canonical_json(_kept(row))  # not of numbers that are not finite
    except ValueError:
        are_objects = False
    if not are_objects or not isinstance(row["recorded"], float):
        what = f"the outcome {row['id']} of `verify` is not what was recorded"
        raise damaged(other.address, what)


def _kept(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in ("id", "environment_id")}


def _key(row: Row, environment_key: str) -> str:
    return json.dumps([_kept(row), environment_key], sort_keys=True)


@read_again
def _keys_there(database: Database, found: Sequence[Outcome]) -> set[str]:
    with database.read() as connection:
        return _keys(connection, found)


def _keys(connection: sa.Connection, found: Sequence[Outcome]) -> set[str]:
    """Return the keys of the outcomes in a database that were recorded when some others were."""
    moments = (outcome.row["recorded"] for outcome in found)
    rows = rows_with(connection, verifications, verifications.c.recorded, moments)
    columns = (environments.c.id, environments.c.key)
    machines = {row["environment_id"] for row in rows}
    named = rows_with(connection, columns, environments.c.id, machines)
    keys = {row["id"]: row["key"] for row in named}
    return {_key(row, keys[row["environment_id"]]) for row in rows}


def _add(found: Sequence[Outcome], target: sa.Connection) -> int:
    """Store the outcomes that are not there; return how many."""
    there = _keys(target, found)
    fresh = {outcome.key: outcome for outcome in found if outcome.key not in there}
    rows = [
        {**outcome.row, "environment_id": environment_id(target, outcome.environment)}
        for outcome in fresh.values()
    ]
    insert(target, verifications, rows)
    reached("a batch of verifications copied, not committed")
    return len(fresh)

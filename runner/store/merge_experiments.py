"""Merging a whole database into another: all its results, and the experiments that ask for them.

Results are imported as from the reference: their weights stay where they are. What the database has
stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.errors import UsageError
from runner.store.checking import check_experiments, check_runs, refuse
from runner.store.checksums import seal_experiment, seal_runs
from runner.store.database import Database
from runner.store.merge import import_results
from runner.store.new_rows import BATCH, insert_new
from runner.store.reference import ReferenceResult
from runner.store.schema import cells, experiments, runs

Name = tuple[str, str]
"""Of an experiment: its name and its variant, "" for the spec as written."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What was copied.

    Attributes:
        results: that the database lacked.
        num_results: how many the other has that count as done.
        added: experiments that the database lacked.
        kept: experiments of which it has another version, which stayed.
    """

    results: Sequence[ReferenceResult]
    num_results: int
    added: Sequence[Name]
    kept: Sequence[Name]


def merge(database: Database, other: Database) -> Merged:
    """Copy results and experiments that a database lacks from another one.

    Done again, it copies what is new. Each of the two steps is one transaction.

    Args:
        database: where they are missing.
        other: is read.

    Raises:
        UsageError: when both are the same.
        DamagedDatabase: when what is copied is not what was recorded.
    """
    if database.identity() == other.identity():
        raise UsageError(
            f"{database.address} and {other.address} are the same database, or a copy of it",
            hint="name another one",
        )
    with other.read() as source:
        done = sa.text("SELECT run_key FROM latest_results WHERE status IN ('done', 'diverged')")
        run_keys = sorted(source.execute(done).scalars())
    results = import_results(database, other, run_keys)
    with other.read() as source:
        refuse(other.address, [check_experiments(source)])
        found = _experiments(source)
        asked = {cell["run_key"] for each in found.values() for cell in each.cells} - {None}
        refuse(other.address, [check_runs(source, asked)])
        rows = _runs(source, asked)
    added, kept = database.transact(lambda connection: _add(connection, found, rows))
    return Merged(results, len(run_keys), added, kept)


@dataclass(frozen=True, slots=True)
class _Experiment:
    """An experiment as it is stored: its row without id and checksum, and those of its cells."""

    row: dict[str, Any]
    cells: list[dict[str, Any]]


def _experiments(connection: sa.Connection) -> dict[Name, _Experiment]:
    found: dict[Name, _Experiment] = {}
    for row in connection.execute(sa.select(experiments).order_by(experiments.c.id)).all():
        mine = sa.select(cells).where(cells.c.experiment_id == row.id)
        order = (cells.c.position, cells.c.fold, cells.c.seed)
        inside = [dict(cell._mapping) for cell in connection.execute(mine.order_by(*order))]
        for cell in inside:
            del cell["experiment_id"]
        values = dict(row._mapping)
        del values["id"], values["checksum"]
        found[row.name, row.variant] = _Experiment(values, inside)
    return found


def _runs(connection: sa.Connection, run_keys: set[str]) -> list[dict[str, Any]]:
    keys, found = sorted(run_keys), list[dict[str, Any]]()
    for start in range(0, len(keys), BATCH):
        query = sa.select(runs).where(runs.c.run_key.in_(keys[start : start + BATCH]))
        found += [dict(row._mapping) for row in connection.execute(query)]
    return found


def _add(
    connection: sa.Connection,
    found: dict[Name, _Experiment],
    rows: list[dict[str, Any]],
) -> tuple[list[Name], list[Name]]:
    """Store the experiments that are not there; return their names, and those of other versions."""
    there = _experiments(connection)
    added = [name for name in found if name not in there]
    kept = [name for name in found if name in there and not _is_same(there[name], found[name])]
    asked = {cell["run_key"] for name in added for cell in found[name].cells}
    mine = [row for row in rows if row["run_key"] in asked]
    seal_runs(connection, insert_new(connection, runs, "run_key", mine))
    for name in added:
        inserted = connection.execute(sa.insert(experiments).values(**found[name].row))
        assert inserted.inserted_primary_key is not None
        number = int(inserted.inserted_primary_key[0])
        inside = [{**cell, "experiment_id": number} for cell in found[name].cells]
        for start in range(0, len(inside), BATCH):
            connection.execute(sa.insert(cells), inside[start : start + BATCH])
        seal_experiment(connection, number)
    return added, kept


def _is_same(ours: _Experiment, theirs: _Experiment) -> bool:
    return ours.row["document"] == theirs.row["document"] and ours.cells == theirs.cells

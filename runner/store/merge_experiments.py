"""Merging a whole database into another: all its results, and the experiments that ask for them.

Results are imported as from the reference: their weights stay where they are. Earlier versions of
experiments follow, and what `verify` recorded. What the database has stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from runner.core.errors import UsageError
from runner.store.checking import check_experiments, check_runs, refuse
from runner.store.checksums import seal_experiment, seal_runs
from runner.store.database import Database, read_again
from runner.store.merge import SILENT, MergeListener, import_results, transact_patiently
from runner.store.merge_verifications import copy_verifications, lacking_verifications
from runner.store.merge_versions import copy_versions, lacking_versions
from runner.store.reference import ReferenceResult
from runner.store.rows import BATCH, insert, insert_new, rows_with
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
        num_versions: how many earlier versions of experiments the database lacked.
        num_verifications: how many outcomes of `verify` it lacked.
    """

    results: Sequence[ReferenceResult]
    num_results: int
    added: Sequence[Name]
    kept: Sequence[Name]
    num_versions: int
    num_verifications: int


def merge(database: Database, other: Database, listener: MergeListener = SILENT) -> Merged:
    """Copy results and experiments that a database lacks from another one, and their history.

    Results first, in batches; then the runs without a result that experiments ask for, and each
    experiment with its cells; last earlier versions of experiments, also of those that the database
    has otherwise, and what `verify` recorded. Stopped in between, the database is whole, and what
    was copied counts; done again, it goes on.

    Args:
        database: where they are missing.
        other: is read.
        listener: hears how far it is.

    Raises:
        UsageError: when both are the same.
        DamagedDatabase: when what is to be copied is not what was recorded, which is seen first.
        StoreBusy: when others keep the database locked; what was copied stays.
    """
    if database.identity() == other.identity():
        raise UsageError(
            f"{database.address} and {other.address} are the same database, or a copy of it",
            hint="name another one",
        )
    run_keys, found = _read(other)
    new = [name for name in found if name not in _names(database)]
    asked = {cell["run_key"] for name in new for cell in found[name].cells} - {None}
    _check_runs(other, asked)
    versions = lacking_versions(database, other)
    verifications = lacking_verifications(database, other)
    results = import_results(database, other, run_keys, listener)
    _copy_runs(database, other, sorted(asked), listener)
    added = []
    for number, name in enumerate(new):
        at = (number, len(new), "experiments copied")
        if transact_patiently(database, partial(_add, found[name]), listener, at):
            added.append(name)
    kept = _kept(database, {name: found[name] for name in found if name not in added})
    num_versions = copy_versions(database, other, versions, listener)
    num_verifications = copy_verifications(database, other, verifications, listener)
    return Merged(results, len(run_keys), added, kept, num_versions, num_verifications)


@dataclass(frozen=True, slots=True)
class _Experiment:
    """An experiment as it is stored: its row without id and checksum, and those of its cells."""

    row: dict[str, Any]
    cells: list[dict[str, Any]]


def _experiments(
    connection: sa.Connection, names: Collection[Name] | None = None
) -> dict[Name, _Experiment]:
    """Return all experiments, or those of some names that are there."""
    found: dict[Name, _Experiment] = {}
    for row in connection.execute(sa.select(experiments).order_by(experiments.c.id)).all():
        if names is not None and (row.name, row.variant) not in names:
            continue
        mine = sa.select(cells).where(cells.c.experiment_id == row.id)
        order = (cells.c.position, cells.c.fold, cells.c.seed)
        inside = [dict(cell._mapping) for cell in connection.execute(mine.order_by(*order))]
        for cell in inside:
            del cell["experiment_id"]
        values = dict(row._mapping)
        del values["id"], values["checksum"]
        found[row.name, row.variant] = _Experiment(values, inside)
    return found


@read_again
def _read(other: Database) -> tuple[list[str], dict[Name, _Experiment]]:
    """Return the runs with results that count as done, and all experiments, checked."""
    done = sa.text("SELECT run_key FROM latest_results WHERE status IN ('done', 'diverged')")
    with other.read() as source:
        refuse(other.address, [check_experiments(source)])
        return sorted(source.execute(done).scalars()), _experiments(source)


@read_again
def _check_runs(other: Database, run_keys: Collection[str]) -> None:
    with other.read() as source:
        refuse(other.address, [check_runs(source, run_keys)])


@read_again
def _names(database: Database) -> set[Name]:
    with database.read() as connection:
        query = sa.select(experiments.c.name, experiments.c.variant)
        return {(row.name, row.variant) for row in connection.execute(query)}


@read_again
def _kept(database: Database, found: Mapping[Name, _Experiment]) -> list[Name]:
    """Return the experiments of which a database has another version."""
    with database.read() as connection:
        there = _experiments(connection, found)
    return [name for name in found if not _is_same(there[name], found[name])]


def _copy_runs(
    database: Database, other: Database, run_keys: Sequence[str], listener: MergeListener
) -> None:
    """Copy the settings of runs without a result."""
    for start in range(0, len(run_keys), BATCH):
        rows = _lacking_runs(database, other, run_keys[start : start + BATCH])
        if rows:
            at = (start, len(run_keys), "runs of experiments copied")
            transact_patiently(database, partial(_add_runs, rows), listener, at)


def _lacking_runs(
    database: Database, other: Database, run_keys: Sequence[str]
) -> list[dict[str, Any]]:
    there = {row["run_key"] for row in _run_rows(database, run_keys)}
    return _run_rows(other, [key for key in run_keys if key not in there])


@read_again
def _run_rows(database: Database, run_keys: Sequence[str]) -> list[dict[str, Any]]:
    with database.read() as connection:
        return rows_with(connection, runs, runs.c.run_key, run_keys)


def _add_runs(rows: Sequence[dict[str, Any]], target: sa.Connection) -> None:
    sealed = {row["run_key"] for row in rows if row["checksum"] is not None}
    seal_runs(target, set(insert_new(target, runs, "run_key", rows)) - sealed)


def _add(found: _Experiment, target: sa.Connection) -> bool:
    """Store an experiment; return False where there is one of this name meanwhile."""
    mine = [experiments.c[each] == found.row[each] for each in ("name", "variant")]
    if target.execute(sa.select(experiments.c.id).where(*mine)).first() is not None:
        return False
    inserted = target.execute(sa.insert(experiments).values(**found.row))
    assert inserted.inserted_primary_key is not None
    number = int(inserted.inserted_primary_key[0])
    insert(target, cells, [{**cell, "experiment_id": number} for cell in found.cells])
    seal_experiment(target, number)
    return True


def _is_same(ours: _Experiment, theirs: _Experiment) -> bool:
    return ours.row["document"] == theirs.row["document"] and ours.cells == theirs.cells

"""Reading back: lists, and everything about one run.

Returns plain values and frozen types. Tables declared in specs are compiled elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from runner.store.analyses import analyses_of
from runner.store.checking import (
    Checked,
    check_analyses,
    check_attempts,
    check_environments,
    check_experiments,
    check_results,
    check_runs,
    refuse,
)
from runner.store.checksums import RESULT, at_ends
from runner.store.database import Database
from runner.store.dialects import Dialect, dialect_of
from runner.store.json_types import JsonObject
from runner.store.origins import attempts_of
from runner.store.running import read_so_far, runs_at_work
from runner.store.schema import attempts, cells, experiments, run_epochs, run_stages, runs
from runner.store.views import metric_of_result, test_epoch


@dataclass(frozen=True, slots=True)
class StoredExperiment:
    """A spec as last run."""

    id: int
    name: str
    variant: str
    about: str
    path: str
    document: Mapping[str, Any]
    source: str
    recorded: float


def stored_experiments(database: Database) -> list[StoredExperiment]:
    """Return all experiments, the one run last first.

    Raises:
        DamagedDatabase: when one is not what was recorded.
    """
    columns = [experiments.c[each.name] for each in fields(StoredExperiment)]
    query = sa.select(*columns).order_by(experiments.c.recorded.desc(), experiments.c.id.desc())
    with database.read() as connection:
        refuse(database.address, [check_experiments(connection)])
        return [StoredExperiment(**row._mapping) for row in connection.execute(query)]


def run_rows(database: Database, experiment: str | None = None) -> list[dict[str, Any]]:
    """Return one row per cell: experiment, labels, swept settings, run, status, accuracies.

    Best and last epoch and ``val_accuracy`` of a run without a result are those recorded so far.

    Raises:
        DamagedDatabase: when something of it is not what was recorded.
    """
    with database.read() as connection:
        keys = cell_keys(connection, experiment)
        parts = (RESULT, at_ends("val_accuracy"), at_ends("test_accuracy"))
        refuse(
            database.address,
            [check_experiments(connection, experiment), check_results(connection, keys, parts)],
        )
        query, which = _cell_query(dialect_of(connection), experiment)
        rows = [dict(row) for row in connection.execute(query, which).mappings()]
        so_far = read_so_far(connection)
        at_work = runs_at_work(connection)
    for row in rows:
        if row["status"] != "unfinished":
            continue
        if row["run"] in at_work:
            row["status"] = "running"
        row |= so_far.get(row["run"], {})
    return rows


def _cell_query(
    dialect: Dialect, experiment: str | None
) -> tuple[sa.TextualSelect, dict[str, str]]:
    """Return the query of all cells with their results, or of those of one experiment."""
    query = (
        "SELECT experiments.name AS experiment, experiments.variant, cells.position, cells.seed,"
        " cells.fold, cells.labels, cells.swept, cells.run_key AS run,"
        " coalesce(result.status, 'unfinished') AS status,"
        " result.best_epoch, result.last_epoch,"
        f" {metric_of_result('val', 'accuracy', 'result.best_epoch')},"
        f" {metric_of_result('test', 'accuracy', test_epoch(dialect))},"
        " result.seconds"
        " FROM cells JOIN experiments ON experiments.id = cells.experiment_id"
        " LEFT JOIN runs ON runs.run_key = cells.run_key"
        " LEFT JOIN latest_results AS result ON result.run_key = cells.run_key"
        f"{'' if experiment is None else ' WHERE experiments.name = :experiment'}"
        " ORDER BY experiments.name, experiments.variant, cells.position, cells.fold, cells.seed"
    )
    which = {} if experiment is None else {"experiment": experiment}
    return sa.text(query).columns(labels=JsonObject, swept=JsonObject), which


def _status(connection: sa.Connection, run_key: str, result: sa.Row[Any] | None) -> str:
    if result is not None:
        return str(result.status)
    return "running" if run_key in runs_at_work(connection) else "unfinished"


def cell_keys(
    connection: sa.Connection, experiment: str | None = None, variant: str | None = None
) -> set[str]:
    """Return the keys of the runs of all cells, or of those of an experiment or a variant."""
    query = sa.select(cells.c.run_key).join(experiments, experiments.c.id == cells.c.experiment_id)
    for column, wanted in ((experiments.c.name, experiment), (experiments.c.variant, variant)):
        query = query if wanted is None else query.where(column == wanted)
    return {key for key in connection.execute(query).scalars() if key is not None}


def find_runs(database: Database, prefix: str) -> list[str]:
    """Return the keys of runs that begin with ``prefix``."""
    query = sa.select(runs.c.run_key).where(runs.c.run_key.startswith(prefix, autoescape=True))
    with database.read() as connection:
        return [str(key) for key in connection.execute(query.order_by(runs.c.run_key)).scalars()]


def run_record(database: Database, run_key: str) -> dict[str, Any]:
    """Return all that is stored of a run: settings, result, cells, attempts, environments, epochs.

    Its ``status`` is that of the result, or else running or unfinished; its epochs are then those
    that are recorded so far.

    Raises:
        KeyError: when there is no such run.
        DamagedDatabase: when something of it is not what was recorded.
    """
    with database.read() as connection:
        run = connection.execute(sa.select(runs).where(runs.c.run_key == run_key)).first()
        if run is None:
            raise KeyError(run_key)
        refuse(database.address, _checks_of(connection, run_key))
        result = connection.execute(
            sa.text("SELECT * FROM latest_results WHERE run_key = :key"), {"key": run_key}
        ).first()
        return {
            **_plain(run),
            "status": _status(connection, run_key, result),
            "result": None if result is None else _plain(result),
            "cells": _cells_of(connection, run_key),
            "attempts": attempts_of(connection, run_key),
            "analyses": analyses_of(connection, run_key),
            "epochs": _epochs_of(connection, run_key),
        }


def _checks_of(connection: sa.Connection, run_key: str) -> Iterator[Checked]:
    """Yield the checks of all that a run's record shows."""
    names = sa.select(experiments.c.name).join(cells, cells.c.experiment_id == experiments.c.id)
    for name in set(connection.execute(names.where(cells.c.run_key == run_key)).scalars()):
        yield check_experiments(connection, name)
    yield check_runs(connection, [run_key])
    yield check_results(connection, [run_key])
    yield from check_analyses(connection, [run_key])
    chain = sa.select(run_stages.c.stage_key).where(run_stages.c.run_key == run_key)
    read = sa.select(attempts.c.stage_key).join(
        run_epochs, run_epochs.c.attempt_id == attempts.c.id
    )
    queries = (chain, read.where(run_epochs.c.run_key == run_key))
    stage_keys = {key for query in queries for key in connection.execute(query).scalars()}
    yield check_attempts(connection, stage_keys)
    used = sa.select(attempts.c.environment_id).where(attempts.c.stage_key.in_(stage_keys))
    yield check_environments(connection, connection.execute(used).scalars().all())


def _plain(row: sa.Row[Any]) -> dict[str, Any]:
    """Return a row as it is shown."""
    return {name: value for name, value in row._mapping.items() if name != "checksum"}


def _cells_of(connection: sa.Connection, run_key: str) -> list[dict[str, Any]]:
    query = (
        sa.select(
            experiments.c.name.label("experiment"),
            experiments.c.variant,
            experiments.c.path,
            cells.c.position,
            cells.c.seed,
            cells.c.fold,
            cells.c.labels,
            cells.c.swept,
        )
        .join(experiments, experiments.c.id == cells.c.experiment_id)
        .where(cells.c.run_key == run_key)
        .order_by(experiments.c.name, cells.c.position)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def _epochs_of(connection: sa.Connection, run_key: str) -> list[dict[str, Any]]:
    """Return the metrics of each epoch: of the result, or else those recorded so far."""
    query = sa.text(
        "SELECT epoch, split || '_' || name AS metric, value FROM run_metrics"
        " WHERE run_key = :key AND rerun = coalesce("
        "  (SELECT rerun FROM latest_results WHERE run_key = :key),"
        "  (SELECT max(rerun) FROM run_epochs WHERE run_key = :key))"
        " ORDER BY epoch, metric"
    )
    epochs: dict[int, dict[str, Any]] = {}
    for row in connection.execute(query, {"key": run_key}):
        epochs.setdefault(row.epoch, {"epoch": row.epoch})[row.metric] = row.value
    return [epochs[epoch] for epoch in sorted(epochs)]

"""Reading back: lists, everything about one run, and its curves.

Returns plain values and frozen types. Tables declared in specs are compiled elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.database import Database
from runner.store.schema import (
    attempts,
    cells,
    claims,
    environments,
    experiments,
    reads,
    run_stages,
    runs,
    stages,
)


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
    """Return all experiments, the one run last first."""
    query = sa.select(experiments).order_by(experiments.c.recorded.desc(), experiments.c.id.desc())
    with database.read() as connection:
        return [StoredExperiment(**row._mapping) for row in connection.execute(query)]


def run_rows(database: Database, experiment: str | None = None) -> list[dict[str, Any]]:
    """Return one row per cell: experiment, labels, swept settings, run, status, accuracies."""
    query = (
        "SELECT experiments.name AS experiment, experiments.variant, cells.position, cells.seed,"
        " cells.labels, cells.swept, cells.run_key AS run,"
        " coalesce(result.status, CASE WHEN EXISTS (SELECT 1 FROM run_stages JOIN claims"
        "   ON claims.stage_key = run_stages.stage_key WHERE run_stages.run_key = cells.run_key"
        "   AND claims.lease_until > :now)"
        "   THEN 'running' ELSE 'unfinished' END) AS status,"
        " result.best_epoch, result.last_epoch,"
        " (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key"
        "   AND m.rerun = result.rerun AND m.split = 'val' AND m.name = 'accuracy'"
        "   AND m.epoch = result.best_epoch) AS val_accuracy,"
        " (SELECT value FROM run_metrics AS m WHERE m.run_key = result.run_key"
        "   AND m.rerun = result.rerun AND m.split = 'test' AND m.name = 'accuracy'"
        "   AND m.epoch = result.best_epoch) AS test_accuracy,"
        " result.seconds"
        " FROM cells JOIN experiments ON experiments.id = cells.experiment_id"
        " LEFT JOIN latest_results AS result ON result.run_key = cells.run_key"
        " WHERE (:experiment IS NULL OR experiments.name = :experiment)"
        " ORDER BY experiments.name, experiments.variant, cells.position, cells.seed"
    )
    typed = sa.text(query).columns(labels=sa.JSON, swept=sa.JSON)
    with database.read() as connection:
        rows = connection.execute(typed, {"experiment": experiment, "now": time.time()})
        return [dict(row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class CellResult:
    """How the run of a stored cell ended; ``unfinished`` has no epochs."""

    position: int
    seed: int
    settings_key: str
    run_key: str
    rerun: int | None
    status: str
    best_epoch: int | None
    last_epoch: int | None


def cell_results(database: Database, experiment: str, variant: str) -> list[CellResult]:
    """Return the cells of a stored experiment in the order of its spec."""
    query = sa.text(
        "SELECT cells.position, cells.seed, cells.settings_key, cells.run_key, result.rerun,"
        " coalesce(result.status, 'unfinished') AS status, result.best_epoch, result.last_epoch"
        " FROM cells JOIN experiments ON experiments.id = cells.experiment_id"
        " LEFT JOIN latest_results AS result ON result.run_key = cells.run_key"
        " WHERE experiments.name = :experiment AND experiments.variant = :variant"
        " ORDER BY cells.position, cells.seed"
    )
    with database.read() as connection:
        rows = connection.execute(query, {"experiment": experiment, "variant": variant})
        return [CellResult(**row._mapping) for row in rows]


def epoch_metrics(
    database: Database, run_key: str, rerun: int | None
) -> dict[str, dict[int, float]]:
    """Return the values of each metric of a run by epoch, from 1; nothing of an unfinished one."""
    query = sa.text(
        "SELECT split || '_' || name AS metric, epoch, value FROM run_metrics"
        " WHERE run_key = :key AND rerun = :rerun ORDER BY metric, epoch"
    )
    found: dict[str, dict[int, float]] = {}
    with database.read() as connection:
        for row in connection.execute(query, {"key": run_key, "rerun": rerun}):
            found.setdefault(row.metric, {})[row.epoch] = row.value
    return found


def step_losses(
    database: Database, run_key: str, rerun: int | None
) -> dict[int, list[float | None]]:
    """Return the training loss of every step of a run by epoch; None is not finite.

    The last epoch of a diverged run is there as far as it went.
    """
    query = sa.text(
        "SELECT epoch, losses FROM run_steps WHERE run_key = :key AND rerun = :rerun ORDER BY epoch"
    ).columns(losses=sa.JSON)
    with database.read() as connection:
        rows = connection.execute(query, {"key": run_key, "rerun": rerun})
        return {row.epoch: list(row.losses) for row in rows}


def find_runs(database: Database, prefix: str) -> list[str]:
    """Return the keys of runs that begin with ``prefix``."""
    query = sa.select(runs.c.run_key).where(runs.c.run_key.startswith(prefix, autoescape=True))
    with database.read() as connection:
        return [str(key) for key in connection.execute(query.order_by(runs.c.run_key)).scalars()]


def run_record(database: Database, run_key: str) -> dict[str, Any]:
    """Return all that is stored of a run: settings, result, cells, attempts, environments, epochs.

    Raises:
        KeyError: when there is no such run.
    """
    with database.read() as connection:
        run = connection.execute(sa.select(runs).where(runs.c.run_key == run_key)).first()
        if run is None:
            raise KeyError(run_key)
        result = connection.execute(
            sa.text("SELECT * FROM latest_results WHERE run_key = :key"), {"key": run_key}
        ).first()
        return {
            **run._mapping,
            "result": None if result is None else dict(result._mapping),
            "cells": _cells_of(connection, run_key),
            "attempts": _attempts_of(connection, run_key),
            "epochs": _epochs_of(connection, run_key),
        }


def _cells_of(connection: sa.Connection, run_key: str) -> list[dict[str, Any]]:
    query = (
        sa.select(
            experiments.c.name.label("experiment"),
            experiments.c.variant,
            experiments.c.path,
            cells.c.position,
            cells.c.seed,
            cells.c.labels,
            cells.c.swept,
        )
        .join(experiments, experiments.c.id == cells.c.experiment_id)
        .where(cells.c.run_key == run_key)
        .order_by(experiments.c.name, cells.c.position)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def _attempts_of(connection: sa.Connection, run_key: str) -> list[dict[str, Any]]:
    """Return the attempts at a run's stages, and those at others' whose epochs it reads."""
    columns = (
        stages.c.kind,
        attempts,
        environments.c.content.label("environment"),
        claims.c.pid,
    )
    own = (
        sa.select(run_stages.c.rerun, run_stages.c.position, run_stages.c.reading, *columns)
        .join(stages, stages.c.stage_key == run_stages.c.stage_key)
        .join(attempts, attempts.c.stage_key == stages.c.stage_key)
        .join(environments, environments.c.id == attempts.c.environment_id)
        .outerjoin(claims, claims.c.attempt_id == attempts.c.id)
        .where(run_stages.c.run_key == run_key)
    )
    found = [dict(row._mapping) for row in connection.execute(own)]
    trainings = {each["rerun"]: each["position"] for each in found if each["kind"] == "train"}
    others = (
        sa.select(reads.c.rerun, *columns)
        .join(attempts, attempts.c.id == reads.c.attempt_id)
        .join(stages, stages.c.stage_key == attempts.c.stage_key)
        .join(environments, environments.c.id == attempts.c.environment_id)
        .outerjoin(claims, claims.c.attempt_id == attempts.c.id)
        .where(reads.c.run_key == run_key, attempts.c.id.not_in([each["id"] for each in found]))
    )
    for row in connection.execute(others):
        place = {"rerun": row.rerun, "position": trainings.get(row.rerun, 0), "reading": ""}
        found.append({**place, **row._mapping})
    return sorted(found, key=lambda each: (each["rerun"], each["position"], each["id"]))


def _epochs_of(connection: sa.Connection, run_key: str) -> list[dict[str, Any]]:
    query = sa.text(
        "SELECT m.epoch, m.split || '_' || m.name AS metric, m.value FROM run_metrics AS m"
        " JOIN latest_results AS r ON r.run_key = m.run_key AND r.rerun = m.rerun"
        " WHERE m.run_key = :key ORDER BY m.epoch, metric"
    )
    epochs: dict[int, dict[str, Any]] = {}
    for row in connection.execute(query, {"key": run_key}):
        epochs.setdefault(row.epoch, {"epoch": row.epoch})[row.metric] = row.value
    return [epochs[epoch] for epoch in sorted(epochs)]

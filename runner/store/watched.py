"""What a page shows of experiments while they run: standings, attempts, workers; as plain values.

Each function is one reading of what changes often, over all runs of an experiment at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.checking import check_experiments, refuse
from runner.store.claims import is_held
from runner.store.database import Database
from runner.store.json_types import decoded
from runner.store.leases import Moment
from runner.store.schema import (
    analyses,
    attempts,
    cells,
    claims,
    experiments,
    runs,
)


@dataclass(frozen=True, slots=True)
class WatchedCell:
    """A cell of an experiment: what the spec gives it, and its run.

    Attributes:
        fold: from 1, 0 where there are none.
        run_key: of its run, "" where that is not known yet.
        budget: the most epochs that its run may read, 0 where that is not known.
    """

    position: int
    seed: int
    fold: int
    labels: Mapping[str, str]
    swept: Mapping[str, Any]
    run_key: str
    budget: int


def watched_cells(database: Database, experiment_id: int) -> list[WatchedCell]:
    """Return the cells of an experiment in the order of its spec.

    Raises:
        DamagedDatabase: when they are not what was recorded.
    """
    query = (
        sa.select(
            cells.c.position,
            cells.c.seed,
            cells.c.fold,
            cells.c.labels,
            cells.c.swept,
            sa.func.coalesce(cells.c.run_key, "").label("run_key"),
            sa.func.coalesce(runs.c.settings[("train", "epochs")].as_integer(), 0).label("budget"),
        )
        .outerjoin(runs, runs.c.run_key == cells.c.run_key)
        .where(cells.c.experiment_id == experiment_id)
        .order_by(cells.c.position, cells.c.fold, cells.c.seed)
    )
    with database.read() as connection:
        name = connection.execute(
            sa.select(experiments.c.name).where(experiments.c.id == experiment_id)
        ).scalar_one()
        refuse(database.address, [check_experiments(connection, name)])
        return [WatchedCell(**row._mapping) for row in connection.execute(query)]


def endings_version(database: Database) -> tuple[Any, ...]:
    """Return what is another one whenever any run's result is another one."""
    query = "SELECT count(*), max(recorded), sum(recorded) FROM results"
    with database.read() as connection:
        return tuple(connection.exec_driver_sql(query).one())


def run_endings(database: Database, run_keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return how each run that has a result ended: status, message, epochs."""
    names = ("status", "message", "best_epoch", "last_epoch", "recorded")
    query = f"SELECT run_key, {', '.join(names)} FROM latest_results"
    with database.read() as connection:
        rows = connection.exec_driver_sql(query)
        return {
            key: dict(zip(names, found, strict=True)) for key, *found in rows if key in run_keys
        }


@dataclass(frozen=True, slots=True)
class WatchedAttempt:
    """An attempt at a stage.

    Attributes:
        started: seconds since 1970 (UTC).
        seconds: wall seconds; of one that is at work, those of its recorded epochs.
        predicted: what the plan expected: epochs, seconds.
        epoch: the last that it recorded, 0 without, and where it is done.
        error: why it failed, or "".
    """

    id: int
    stage_key: str
    status: str
    device: str
    started: float
    seconds: float | None
    predicted: Mapping[str, Any]
    epoch: int
    error: str


def attempts_since(
    database: Database, newest: int, others: Collection[int] = ()
) -> list[WatchedAttempt]:
    """Return the attempts after one, and some of those before, in order.

    Args:
        database: the database.
        newest: id of the last that is known, 0 for all.
        others: ids of earlier ones that may have changed.
    """
    query = (
        "SELECT id, stage_key, status, device, started, seconds, predicted,"
        " CASE status WHEN 'done' THEN 0 ELSE coalesce("
        "  (SELECT max(epoch) FROM steps WHERE steps.attempt_id = attempts.id), 0) END, error"
        f" FROM attempts WHERE id > {int(newest)}"
    )
    query += f" OR id IN ({', '.join(str(int(each)) for each in others)})" if others else ""
    with database.read() as connection:
        rows = connection.exec_driver_sql(f"{query} ORDER BY id")
        return [
            WatchedAttempt(
                id=row[0],
                stage_key=row[1],
                status=row[2],
                device=row[3],
                started=row[4],
                seconds=row[5],
                predicted=decoded(row[6]) or {},
                epoch=row[7],
                error=row[8],
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that does a stage now.

    Attributes:
        stage_key: of the stage.
        since: seconds since 1970 (UTC), when its attempt began.
        alive: whether its lease holds and it is not known to be dead.
    """

    stage_key: str
    host: str
    pid: int
    device: str
    since: float
    alive: bool


def workers(database: Database) -> list[Worker]:
    """Return the processes that have claimed stages, the one that began first in front."""
    query = (
        sa.select(claims, attempts.c.device, attempts.c.started)
        .join(attempts, attempts.c.id == claims.c.attempt_id)
        .order_by(attempts.c.started, attempts.c.id)
    )
    with database.read() as connection:
        moment = Moment.now(connection)
        return [
            Worker(
                stage_key=row.stage_key,
                host=row.host,
                pid=row.pid,
                device=row.device,
                since=row.started,
                alive=is_held(row, moment),
            )
            for row in connection.execute(query)
        ]


def analysis_stages(database: Database, run_keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the stages of the analyses of some runs: kind and runs, by key of the stage."""
    query = sa.select(analyses.c.run_key, analyses.c.kind, analyses.c.stage_key)
    found: dict[str, dict[str, Any]] = {}
    with database.read() as connection:
        for row in connection.execute(query):
            if row.run_key in run_keys:
                stage = found.setdefault(row.stage_key, {"kind": row.kind, "runs": []})
                stage["runs"].append(row.run_key)
    return found


def structure_version(database: Database, experiment_id: int) -> tuple[Any, ...]:
    """Return what is another one whenever an experiment's cells, runs or stages are others."""
    query = sa.text(
        "SELECT (SELECT recorded FROM experiments WHERE id = :id),"
        " (SELECT count(run_key) FROM cells WHERE experiment_id = :id),"
        " (SELECT count(*) FROM run_stages), (SELECT count(*) FROM analyses)"
    )
    with database.read() as connection:
        return tuple(connection.execute(query, {"id": experiment_id}).one())


def run_endings_by_experiment(
    database: Database, at_work: Collection[str]
) -> dict[int, dict[str, int]]:
    """Return how many cells of each experiment have each status, by the experiment's id.

    Args:
        database: the database.
        at_work: runs of which some process does a stage.
    """
    query = sa.text(
        "SELECT cells.experiment_id, cells.run_key, coalesce(result.status, 'unfinished') AS status"
        " FROM cells LEFT JOIN latest_results AS result ON result.run_key = cells.run_key"
    )
    found: dict[int, dict[str, int]] = {}
    with database.read() as connection:
        for row in connection.execute(query):
            status = row.status
            if status == "unfinished" and row.run_key in at_work:
                status = "running"
            counts = found.setdefault(row.experiment_id, {})
            counts[status] = counts.get(status, 0) + 1
    return found

"""Numbers that a page draws: by epoch, by step, at the end; of runs that train, those so far.

Returns plain values.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from runner.components.measures import METRIC_NAMES, metric_parts
from runner.store.checking import check_results, refuse
from runner.store.checksums import RESULT, STEPS, at_ends
from runner.store.database import Database
from runner.store.dialects import dialect_of
from runner.store.json_types import decoded
from runner.store.rows import BATCH, batches
from runner.store.schema import attempts, metrics
from runner.store.views import metric_of_result, test_epoch

NEWEST = (
    " AND rerun = coalesce((SELECT rerun FROM latest_results AS l WHERE l.run_key = :key),"
    " (SELECT max(rerun) FROM run_epochs AS e WHERE e.run_key = :key))"
)
"""Of a run's repetitions, the one that its result is of; without a result, the newest."""

AT_END = {
    "val_accuracy": "result.best_epoch",
    "test_accuracy": None,
    "val_loss": "result.best_epoch",
    "train_loss": "result.last_epoch",
}
"""Numbers of a finished run, each with its epoch, as in `run_summary`; None is the one tested."""


def epochs_read_and_trained(database: Database, run_keys: Collection[str]) -> tuple[int, int]:
    """Return how many epochs finished runs have read, and how many were trained for these.

    An epoch that several runs read was trained once.
    """
    query = sa.text(
        "SELECT run_epochs.run_key, run_epochs.attempt_id, run_epochs.first_epoch,"
        " CASE WHEN result.last_epoch < run_epochs.last_epoch THEN result.last_epoch"
        "  ELSE run_epochs.last_epoch END AS last_epoch FROM run_epochs"
        " JOIN latest_results AS result ON result.run_key = run_epochs.run_key"
        " AND result.rerun = run_epochs.rerun AND result.status IN ('done', 'diverged')"
        " JOIN attempts ON attempts.id = run_epochs.attempt_id"
        " JOIN stages ON stages.stage_key = attempts.stage_key AND stages.kind = 'train'"
    )
    read, ranges = 0, dict[int, list[tuple[int, int]]]()
    with database.read() as connection:
        for row in connection.execute(query):
            if row.run_key in run_keys:
                read += max(row.last_epoch - row.first_epoch + 1, 0)
                ranges.setdefault(row.attempt_id, []).append((row.first_epoch, row.last_epoch))
    return read, sum(_length(each) for each in ranges.values())


def _length(ranges: Sequence[tuple[int, int]]) -> int:
    """Return how many numbers are in any of some ranges, ends included."""
    total, end = 0, 0
    for first, last in sorted(ranges):
        total += max(last - max(first, end + 1) + 1, 0)
        end = max(end, last)
    return total


def epoch_series(database: Database, run_keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the record of runs by epoch, also while they train: metrics, seconds, losses of steps.

    Returns:
        By key of the run ``metrics`` (values by epoch, by full name), ``seconds`` and ``losses`` (a
        list of steps), each by epoch.

    Raises:
        DamagedDatabase: when those of a run with a result are not what was recorded.
    """
    found: dict[str, dict[str, Any]] = {}
    metrics = sa.text(
        "SELECT split || '_' || name AS metric, epoch, value FROM run_metrics WHERE run_key = :key"
        f"{NEWEST} ORDER BY metric, epoch"
    )
    by_step = sa.text(
        f"SELECT epoch, seconds, losses FROM run_steps WHERE run_key = :key{NEWEST} ORDER BY epoch"
    )
    with database.read() as connection:
        refuse(database.address, [check_results(connection, run_keys, (*METRIC_NAMES, STEPS))])
        for key in run_keys:
            series: dict[str, Any] = {"metrics": {}, "seconds": {}, "losses": {}}
            for row in connection.execute(metrics, {"key": key}):
                series["metrics"].setdefault(row.metric, {})[row.epoch] = row.value
            for row in connection.execute(by_step, {"key": key}):
                series["seconds"][row.epoch] = row.seconds
                series["losses"][row.epoch] = decoded(row.losses)
            found[key] = series
    return found


def branch_points(
    database: Database, run_keys: Collection[str]
) -> dict[str, list[tuple[int, int]]]:
    """Return the (attempt, last epoch) pairs of which each run's record is made, in order."""
    query = sa.text(
        f"SELECT attempt_id, last_epoch FROM run_epochs WHERE run_key = :key{NEWEST}"
        " ORDER BY first_epoch, attempt_id"
    )
    with database.read() as connection:
        return {
            key: [
                (row.attempt_id, row.last_epoch) for row in connection.execute(query, {"key": key})
            ]
            for key in run_keys
        }


def summary_numbers(
    database: Database, run_keys: Collection[str], columns: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return numbers of the runs that are done, by run and column of `run_summary`."""
    query = sa.text(f"SELECT run, {', '.join(columns)} FROM run_summary WHERE status = 'done'")
    with database.read() as connection:
        return {
            row["run"]: {name: row[name] for name in columns if row[name] is not None}
            for row in connection.execute(query).mappings()
            if row["run"] in run_keys
        }


def end_numbers(database: Database, run_keys: Collection[str]) -> dict[str, dict[str, float]]:
    """Return the :data:`AT_END` of the runs that are done, also of runs that no cell has.

    Raises:
        DamagedDatabase: when one of them is not what was recorded.
    """
    parts = (RESULT, *map(at_ends, AT_END))
    found: dict[str, dict[str, float]] = {}
    keys = sorted(run_keys)
    with database.read() as connection:
        refuse(database.address, [check_results(connection, keys, parts)])
        tested = test_epoch(dialect_of(connection))
        columns = ", ".join(
            metric_of_result(*metric_parts(each), epoch or tested) for each, epoch in AT_END.items()
        )
        for batch in batches(keys):
            query = sa.text(
                f"SELECT result.run_key AS run, {columns} FROM latest_results AS result"
                " JOIN runs ON runs.run_key = result.run_key"
                " WHERE result.status = 'done' AND result.run_key IN :keys"
            ).bindparams(sa.bindparam("keys", expanding=True))
            for row in connection.execute(query, {"keys": batch}).mappings():
                found[row["run"]] = {each: row[each] for each in AT_END if row[each] is not None}
    return found


def metric_names(database: Database, stage_keys: Collection[str]) -> list[str]:
    """Return the full names of metrics that are recorded by epoch, of the newest trainings."""
    newest = (
        sa.select(attempts.c.id)
        .where(attempts.c.stage_key.in_(sorted(stage_keys)[:BATCH]))
        .order_by(attempts.c.id.desc())
        .limit(50)
    )
    query = (
        sa.select(metrics.c.split, metrics.c.name)
        .distinct()
        .where(metrics.c.attempt_id.in_(newest))
        .order_by(metrics.c.name, metrics.c.split)
    )
    with database.read() as connection:
        return [f"{row.split}_{row.name}" for row in connection.execute(query)]

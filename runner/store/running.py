"""Runs that have no result yet: which of them are at work, and what they have read so far.

Returns plain values, also of trainings that were stopped and will go on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from runner.artifacts.process import host
from runner.core.reader import Reader, replayed
from runner.store.claims import is_held
from runner.store.database import Database, read_again
from runner.store.leases import Moment
from runner.store.rows import selected
from runner.store.schema import claims, results, run_epochs, run_stages, runs


@read_again
def held_stages(database: Database, alive: bool = False) -> set[str]:
    """Return the keys of the stages that some process has claimed.

    Args:
        database: the database.
        alive: only claims whose lease has not run out and whose process is not known to be dead.
    """
    with database.read() as connection:
        return _held(connection, alive)


@read_again
def are_others_at_work(database: Database) -> bool:
    """Return whether a living process of another machine has claimed a stage."""
    others = sa.select(claims).where(claims.c.host != host())
    with database.read() as connection:
        moment = Moment.now(connection)
        rows = connection.execute(others).all()
    return any(is_held(row, moment) for row in rows)


def _held(connection: sa.Connection, alive: bool) -> set[str]:
    moment = Moment.now(connection)
    rows = connection.execute(sa.select(claims)).all()
    return {row.stage_key for row in rows if not alive or is_held(row, moment)}


def runs_at_work(connection: sa.Connection) -> set[str]:
    """Return the runs of which some living process does a stage."""
    held = _held(connection, alive=True)
    query = sa.select(run_stages.c.run_key)
    return {row.run_key for row in selected(connection, query, run_stages.c.stage_key, held)}


def read_so_far(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """Return the last epoch, the best and its ``val_accuracy``, of runs without a result, by run.

    What is best is what the run's own rule says of the epochs that are recorded.
    """
    return {
        run: {
            "best_epoch": best,
            "last_epoch": last,
            "val_accuracy": history[best - 1].get("val_accuracy"),
        }
        for run, best, last, history in _unfinished(connection)
    }


def runs_so_far(database: Database, run_keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what runs without a result have read so far, by run; nothing of those without epochs.

    Returns:
        Mappings with ``last_epoch``, ``at_best`` and ``at_last`` (metrics by full name at the run's
        best and its last epoch), ``least`` and ``most`` (over the epochs), ``by_epoch``.
    """
    found: dict[str, dict[str, Any]] = {}
    with database.read() as connection:
        for run, best, last, history in _unfinished(connection):
            if run in run_keys:
                names = {name for each in history for name in each}
                values = {n: [each[n] for each in history if n in each] for n in names}
                found[run] = {
                    "last_epoch": last,
                    "at_best": history[best - 1],
                    "at_last": history[last - 1],
                    "least": {name: min(each) for name, each in values.items()},
                    "most": {name: max(each) for name, each in values.items()},
                    "by_epoch": dict(enumerate(history, 1)),
                }
    return found


def _unfinished(
    connection: sa.Connection,
) -> Iterator[tuple[str, int, int, list[Mapping[str, float]]]]:
    """Yield runs without a result that have read something: key, best and last epoch, metrics."""
    newest = (
        sa.select(run_epochs.c.run_key, sa.func.max(run_epochs.c.rerun).label("no"))
        .where(run_epochs.c.run_key.not_in(sa.select(results.c.run_key)))
        .group_by(run_epochs.c.run_key)
        .subquery()
    )
    query = (
        sa.select(runs.c.run_key, runs.c.reader, newest.c.no)
        .join(newest, runs.c.run_key == newest.c.run_key)
        .order_by(runs.c.run_key)
    )
    for run in connection.execute(query).all():
        history = _history(connection, run.run_key, run.no)
        if history:
            state = replayed({"run": Reader.from_json(run.reader)}, history)["run"]
            yield run.run_key, state.best_epoch, state.epoch, history


def _history(connection: sa.Connection, run_key: str, rerun: int) -> list[Mapping[str, float]]:
    """Return the metrics by full name of each epoch, from the first on."""
    query = sa.text(
        "SELECT epoch, split || '_' || name AS metric, value FROM run_metrics"
        " WHERE run_key = :key AND rerun = :rerun ORDER BY epoch"
    )
    epochs: dict[int, dict[str, float]] = {}
    for row in connection.execute(query, {"key": run_key, "rerun": rerun}):
        epochs.setdefault(row.epoch, {})[row.metric] = row.value
    return [epochs[each] for each in sorted(epochs)]

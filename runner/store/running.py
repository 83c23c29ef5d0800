"""Runs that have no result yet: which of them are at work, and what they have read so far.

Returns plain values, also of trainings that were stopped and will go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from runner.core.reader import Reader, replayed
from runner.store.claims import Moment, is_held
from runner.store.database import Database
from runner.store.schema import claims, results, run_epochs, run_stages, runs

BATCH = 500


def held_stages(database: Database, alive: bool = False) -> set[str]:
    """Return the keys of the stages that some process has claimed.

    Args:
        database: the database.
        alive: only claims whose lease has not run out and whose process is not known to be dead.
    """
    with database.read() as connection:
        return _held(connection, alive)


def _held(connection: sa.Connection, alive: bool) -> set[str]:
    moment = Moment.now()
    rows = connection.execute(sa.select(claims)).all()
    return {row.stage_key for row in rows if not alive or is_held(row, moment)}


def runs_at_work(connection: sa.Connection) -> set[str]:
    """Return the runs of which some living process does a stage."""
    held = sorted(_held(connection, alive=True))
    found = set[str]()
    for start in range(0, len(held), BATCH):
        batch = run_stages.c.stage_key.in_(held[start : start + BATCH])
        found.update(connection.execute(sa.select(run_stages.c.run_key).where(batch)).scalars())
    return found


def read_so_far(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """Return the last epoch, the best and its ``val_accuracy``, of runs without a result, by run.

    What is best is what the run's own rule says of the epochs that are recorded.
    """
    query = (
        sa.select(run_epochs.c.run_key, runs.c.reader, sa.func.max(run_epochs.c.rerun).label("no"))
        .join(runs, runs.c.run_key == run_epochs.c.run_key)
        .where(run_epochs.c.run_key.not_in(sa.select(results.c.run_key)))
        .group_by(run_epochs.c.run_key, runs.c.reader)
    )
    found: dict[str, dict[str, Any]] = {}
    for run in connection.execute(query).all():
        history = _history(connection, run.run_key, run.no)
        if not history:
            continue
        state = replayed({"run": Reader.from_json(run.reader)}, history)["run"]
        found[run.run_key] = {
            "best_epoch": state.best_epoch,
            "last_epoch": state.epoch,
            "val_accuracy": history[state.best_epoch - 1].get("val_accuracy"),
        }
    return found


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

"""What was measured of finished runs after they had finished, on the weights that they keep.

Such an evaluation is no stage of a run: the run was complete without it, and stays so. Its numbers
become part of the run's record once it has ended. Knows numbers and keys, not torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.reader import KeptWeights
from runner.store.backend import Beside
from runner.store.checking import check_attempts, check_results, refuse
from runner.store.checksums import seal_results
from runner.store.database import Database, read_again
from runner.store.locks import lock_runs
from runner.store.rows import selected
from runner.store.schema import attempts, evaluations, results, run_epochs


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that is done, and what evaluations measured of it.

    Attributes:
        epochs: numbers of its best and its last epoch, by these words.
        evaluated: (split, name, epoch) of each number.
    """

    epochs: Mapping[KeptWeights, int]
    evaluated: frozenset[tuple[str, str, int]]


@read_again
def finished_runs(database: Database, reruns: Mapping[str, int]) -> dict[str, FinishedRun]:
    """Return the runs that are done, by key.

    Args:
        database: the database.
        reruns: the runs that are looked for, and which repetition of each.
    """
    columns = (results.c[name] for name in ("run_key", "rerun", "best_epoch", "last_epoch"))
    done = sa.select(*columns).where(results.c.status == "done")
    measured: dict[tuple[str, int], set[tuple[str, str, int]]] = {}
    with database.read() as connection:
        rows = list(selected(connection, done, results.c.run_key, reruns))
        for row in selected(connection, _evaluated(), run_epochs.c.run_key, reruns):
            key = (row.run_key, row.rerun)
            measured.setdefault(key, set()).add((row.split, row.name, row.epoch))
    return {
        row.run_key: FinishedRun(
            {"best": row.best_epoch, "last": row.last_epoch},
            frozenset(measured.get((row.run_key, row.rerun), ())),
        )
        for row in rows
        if row.rerun == reruns[row.run_key]
    }


def _evaluated() -> sa.Select[Any]:
    """Return a query of the evaluations that runs have."""
    is_read = evaluations.c.epoch.between(run_epochs.c.first_epoch, run_epochs.c.last_epoch)
    return sa.select(
        run_epochs.c.run_key,
        run_epochs.c.rerun,
        evaluations.c.split,
        evaluations.c.name,
        evaluations.c.epoch,
    ).join(evaluations, (evaluations.c.attempt_id == run_epochs.c.attempt_id) & is_read)


def add_measurements(
    database: Database, run_key: str, rerun: int, stage_keys: Sequence[str]
) -> None:
    """Make evaluations that have ended part of the record of a run that is done.

    Safe to call at any time and by several processes: what the run has is not added again.

    Args:
        database: the database.
        run_key: the run.
        rerun: which repetition of it.
        stage_keys: of the evaluations.

    Raises:
        DamagedDatabase: when the result or an evaluation is not what was recorded.
    """
    same = (run_epochs.c.run_key == run_key) & (run_epochs.c.rerun == rerun)

    def add(connection: sa.Connection) -> None:
        lock_runs(connection, [run_key])
        status = connection.execute(
            sa.select(results.c.status).where(
                results.c.run_key == run_key, results.c.rerun == rerun
            )
        ).scalar()
        if status != "done":
            return
        known = {
            (row.split, row.name, row.epoch) for row in connection.execute(_evaluated().where(same))
        }
        added: list[dict[str, object]] = []
        for stage_key in stage_keys:
            found = _measured_by(connection, stage_key)
            mine = {(row.split, row.name, row.epoch) for row in found}
            if found and not known.intersection(mine):
                known |= mine
                added.append(
                    {
                        "run_key": run_key,
                        "rerun": rerun,
                        "attempt_id": found[0].attempt_id,
                        "first_epoch": found[0].epoch,
                        "last_epoch": found[0].epoch,
                    }
                )
        if not added:
            return
        checks = (check_results(connection, [run_key]), check_attempts(connection, stage_keys))
        refuse(database.address, checks)
        connection.execute(sa.insert(run_epochs), added)
        seal_results(connection, [(run_key, rerun)])

    database.transact(add, beside=Beside.OTHERS)


def _measured_by(connection: sa.Connection, stage_key: str) -> Sequence[Any]:
    """Return what the newest successful attempt at an evaluation measured."""
    newest = (
        sa.select(sa.func.max(attempts.c.id))
        .where(attempts.c.stage_key == stage_key, attempts.c.status == "done")
        .scalar_subquery()
    )
    return connection.execute(
        sa.select(
            evaluations.c.attempt_id,
            evaluations.c.split,
            evaluations.c.name,
            evaluations.c.epoch,
        ).where(evaluations.c.attempt_id == newest)
    ).all()

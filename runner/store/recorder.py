"""Recording work: epochs as they come, and how attempts end.

Every write checks in its own transaction that the claim is still held, so that a process that was
taken over cannot write. Knows numbers and keys, not torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from runner.core.records import AnalysisValue, AttemptStatus, EpochRecord, Metric, Produced
from runner.core.text import storable
from runner.store.analysis_values import CHECKSUM, value_rows, values_checksum
from runner.store.backend import Beside
from runner.store.checksums import seal_attempts
from runner.store.claim_answers import Claimed
from runner.store.claims import hold_claim, release_claim
from runner.store.database import Database
from runner.store.locks import lock_runs
from runner.store.schema import (
    analysis_values,
    artifacts,
    attempts,
    evaluations,
    metrics,
    results,
    run_epochs,
    run_stages,
    steps,
)


def record_epochs(database: Database, claim: Claimed, records: Sequence[EpochRecord]) -> None:
    """Store finished epochs of a training.

    Raises:
        ClaimLost: when another process has taken the stage over; nothing is stored.
    """
    if not records:
        return

    def store(connection: sa.Connection) -> None:
        hold_claim(connection, claim)
        connection.execute(
            sa.insert(steps),
            [
                {
                    "attempt_id": claim.attempt_id,
                    "epoch": record.epoch,
                    "learning_rate": record.learning_rate,
                    "seconds": record.seconds,
                    "losses": [_finite(loss) for loss in record.step_losses],
                }
                for record in records
            ],
        )
        rows = [_metric_row(claim, metric) for record in records for metric in record.metrics]
        if rows:
            connection.execute(sa.insert(metrics), rows)

    database.transact(store, beside=Beside.OTHERS)


def _finite(loss: float) -> float | None:
    """Return what JSON can hold: null stands for a loss that is not finite."""
    return loss if math.isfinite(loss) else None


def _metric_row(claim: Claimed, metric: Metric) -> dict[str, Any]:
    return {
        "attempt_id": claim.attempt_id,
        "epoch": metric.epoch,
        "split": metric.split,
        "name": metric.name,
        "value": metric.value,
    }


def record_ranges(
    database: Database, claim: Claimed, ranges: Mapping[str, Sequence[Sequence[int]]]
) -> None:
    """Store which epochs the runs that read a training have, before it has ended.

    They take the place of those that an earlier attempt left. A run that has a result keeps its
    epochs: the result is about them.

    Args:
        database: the database.
        claim: of the training.
        ranges: (attempt, first, last) by what the training calls the run; an attempt in progress
            has all epochs that the run may read of it.

    Raises:
        ClaimLost: when another process has taken the stage over; nothing is stored.
    """
    readers = sa.select(run_stages.c.run_key).where(run_stages.c.stage_key == claim.stage_key)
    same = (results.c.run_key == run_stages.c.run_key) & (results.c.rerun == run_stages.c.rerun)
    query = (
        sa.select(run_stages.c.run_key, run_stages.c.rerun, run_stages.c.reading)
        .outerjoin(results, same)
        .where(run_stages.c.stage_key == claim.stage_key, results.c.run_key.is_(None))
    )

    def store(connection: sa.Connection) -> None:
        hold_claim(connection, claim)
        lock_runs(connection, connection.execute(readers).scalars().all())
        wanted = [row for row in connection.execute(query) if row.reading in ranges]
        for row in wanted:
            mine = (run_epochs.c.run_key == row.run_key) & (run_epochs.c.rerun == row.rerun)
            connection.execute(sa.delete(run_epochs).where(mine))
        rows = [
            {
                "run_key": row.run_key,
                "rerun": row.rerun,
                "attempt_id": attempt_id,
                "first_epoch": first,
                "last_epoch": last,
            }
            for row in wanted
            for attempt_id, first, last in ranges[row.reading]
        ]
        if rows:
            connection.execute(sa.insert(run_epochs), rows)

    database.transact(store, beside=Beside.OTHERS)


def end_attempt(
    database: Database,
    claim: Claimed,
    status: AttemptStatus,
    seconds: float,
    outcome: Mapping[str, Any] | None = None,
    error: str = "",
    measured: Sequence[Metric | AnalysisValue] = (),
    produced: Sequence[Produced] = (),
) -> None:
    """Store how an attempt ended, with what it measured and produced, and give up the claim.

    Raises:
        ClaimLost: when another process has taken the stage over; nothing is stored.
    """
    metrics_measured = [each for each in measured if isinstance(each, Metric)]
    analysed = [each for each in measured if isinstance(each, AnalysisValue)]
    values = value_rows(claim.attempt_id, analysed)
    if values and outcome is not None:
        rows_of_values = [(row["name"], row["dims"], row["value"]) for row in values]
        outcome = {**outcome, CHECKSUM: values_checksum(rows_of_values)}

    def end(connection: sa.Connection) -> None:
        hold_claim(connection, claim)
        connection.execute(
            sa.update(attempts)
            .where(attempts.c.id == claim.attempt_id)
            .values(
                status=status,
                seconds=seconds,
                outcome=None if outcome is None else dict(outcome),
                error=storable(error),
            )
        )
        seal_attempts(connection, [claim.attempt_id])
        if metrics_measured:
            rows = [_metric_row(claim, metric) for metric in metrics_measured]
            connection.execute(sa.insert(evaluations), rows)
        if values:
            connection.execute(sa.insert(analysis_values), values)
        for artifact in sorted(produced, key=lambda each: each.name):
            connection.execute(sa.delete(artifacts).where(artifacts.c.name == artifact.name))
            connection.execute(
                sa.insert(artifacts).values(
                    name=artifact.name,
                    stage_key=claim.stage_key,
                    digest=artifact.digest,
                    num_bytes=artifact.num_bytes,
                )
            )
        release_claim(connection, claim)

    database.transact(end, beside=Beside.OTHERS)

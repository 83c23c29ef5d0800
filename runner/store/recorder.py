"""Recording results: epochs as they come, how attempts end, how runs end.

Every write checks in its own transaction that the claim is still held, so that a process that was
taken over cannot write. Knows numbers and keys, not torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.types import AttemptStatus, EpochRecord, Metric
from runner.store.claims import Claim, hold_claim, release_claim
from runner.store.database import Database
from runner.store.schema import (
    artifacts,
    attempts,
    evaluations,
    metrics,
    reads,
    results,
    run_stages,
    steps,
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something that a stage left on disk."""

    name: str
    digest: str
    num_bytes: int


def record_epochs(database: Database, claim: Claim, records: Sequence[EpochRecord]) -> None:
    """Store finished epochs of a training.

    Raises:
        ClaimLost: when another process has taken the stage over; nothing is stored.
    """
    if not records:
        return
    with database.write() as connection:
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


def _finite(loss: float) -> float | None:
    """Return what JSON can hold: null stands for a loss that is not finite."""
    return loss if math.isfinite(loss) else None


def _metric_row(claim: Claim, metric: Metric) -> dict[str, Any]:
    return {
        "attempt_id": claim.attempt_id,
        "epoch": metric.epoch,
        "split": metric.split,
        "name": metric.name,
        "value": metric.value,
    }


def end_attempt(
    database: Database,
    claim: Claim,
    status: AttemptStatus,
    seconds: float,
    outcome: Mapping[str, Any] | None = None,
    error: str = "",
    measured: Sequence[Metric] = (),
    produced: Sequence[Artifact] = (),
) -> None:
    """Store how an attempt ended, with what it measured and produced, and give up the claim.

    Raises:
        ClaimLost: when another process has taken the stage over; nothing is stored.
    """
    with database.write() as connection:
        hold_claim(connection, claim)
        connection.execute(
            sa.update(attempts)
            .where(attempts.c.id == claim.attempt_id)
            .values(
                status=status,
                seconds=seconds,
                outcome=None if outcome is None else dict(outcome),
                error=error,
            )
        )
        if measured:
            rows = [_metric_row(claim, metric) for metric in measured]
            connection.execute(sa.insert(evaluations), rows)
        for artifact in produced:
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


def record_result(database: Database, run_key: str, rerun: int) -> str | None:
    """Put a run's result together once all its stages have ended.

    Safe to call at any time and by several processes: it stores a result only when there is one to
    store, and once.

    Returns:
        The run's status, or None while a stage is missing.
    """
    with database.write() as connection:
        existing = connection.execute(
            sa.select(results.c.status).where(
                results.c.run_key == run_key, results.c.rerun == rerun
            )
        ).scalar()
        if existing in ("done", "diverged"):
            return str(existing)
        ended = _last_attempts(connection, run_key, rerun)
        if ended is None:
            return None
        _replace_result(connection, run_key, rerun, ended)
        return _status(ended)


def _last_attempts(connection: sa.Connection, run_key: str, rerun: int) -> list[sa.Row[Any]] | None:
    """Return the deciding attempt of each stage, up to the first without success, or None.

    The first success decides; without one, the last failure.
    """
    chain = connection.execute(
        sa.select(run_stages.c.stage_key)
        .where(run_stages.c.run_key == run_key, run_stages.c.rerun == rerun)
        .order_by(run_stages.c.position)
    ).scalars()
    failed = attempts.c.status == "failed"
    ended: list[sa.Row[Any]] = []
    for stage_key in chain:
        row = connection.execute(
            sa.select(attempts)
            .where(
                attempts.c.stage_key == stage_key,
                attempts.c.status.in_(("done", "diverged", "failed")),
            )
            .order_by(failed, attempts.c.number.desc())
        ).first()
        if row is None:
            return None
        ended.append(row)
        if row.status != "done":
            break
    return ended


def _status(ended: Sequence[sa.Row[Any]]) -> str:
    return str(ended[-1].status)


def _replace_result(
    connection: sa.Connection, run_key: str, rerun: int, ended: Sequence[sa.Row[Any]]
) -> None:
    last = ended[-1]
    outcome: dict[str, Any] = {}
    for row in ended:
        outcome |= row.outcome or {}
    ranges = [pair for row in ended for pair in (row.outcome or {}).get("reads", [])]
    train_seconds = _train_seconds(connection, ranges)
    same_read = (reads.c.run_key == run_key) & (reads.c.rerun == rerun)
    same_result = (results.c.run_key == run_key) & (results.c.rerun == rerun)
    connection.execute(sa.delete(reads).where(same_read))
    connection.execute(sa.delete(results).where(same_result))
    connection.execute(
        sa.insert(results).values(
            run_key=run_key,
            rerun=rerun,
            status=last.status,
            message=last.error,
            best_epoch=outcome.get("best_epoch"),
            last_epoch=outcome.get("last_epoch"),
            parameters=outcome.get("parameters"),
            train_seconds=train_seconds,
            seconds=train_seconds + _other_seconds(ended),
            device=_device(ended),
            recorded=time.time(),
        )
    )
    for attempt_id, first, final in ranges:
        connection.execute(
            sa.insert(reads).values(
                run_key=run_key,
                rerun=rerun,
                attempt_id=attempt_id,
                first_epoch=first,
                last_epoch=final,
            )
        )


def _train_seconds(connection: sa.Connection, ranges: Sequence[Sequence[int]]) -> float:
    """Return the measured seconds of the epochs in these ranges of attempts."""
    total = 0.0
    for attempt_id, first, final in ranges:
        measured = connection.execute(
            sa.select(sa.func.sum(steps.c.seconds)).where(
                steps.c.attempt_id == attempt_id, steps.c.epoch.between(first, final)
            )
        ).scalar()
        total += float(measured or 0.0)
    return total


def _other_seconds(ended: Sequence[sa.Row[Any]]) -> float:
    """Return the seconds of the stages that have no epochs (preparing, evaluating)."""
    return sum(
        float(row.seconds or 0.0) for row in ended if "parameters" not in (row.outcome or {})
    )


def _device(ended: Sequence[sa.Row[Any]]) -> str:
    devices = {row.device for row in ended if "reads" in (row.outcome or {})}
    if len(devices) == 1:
        return str(devices.pop())
    return "mixed" if devices else str(ended[-1].device)

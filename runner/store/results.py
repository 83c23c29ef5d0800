"""How runs end: put together from the attempts of their stages.

A run of a shared training has its own end in it, whatever became of the others. Knows numbers and
keys, not torch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from runner.store.backend import Beside
from runner.store.checking import check_attempts, refuse
from runner.store.checksums import seal_results
from runner.store.database import Database
from runner.store.locks import lock_runs
from runner.store.schema import attempts, results, run_epochs, run_stages, stages, steps


def record_result(
    database: Database, run_key: str, rerun: int, chain: Sequence[str] = ()
) -> str | None:
    """Put a run's result together once all its stages have ended.

    Safe to call at any time and by several processes: it stores a result only when there is one to
    store, and once.

    Args:
        database: the database.
        run_key: the run.
        rerun: which repetition of it.
        chain: keys of its stages as this process planned them, when another process may since have
            planned others; those that were last recorded by default.

    Returns:
        The run's status, or None while a stage is missing.

    Raises:
        DamagedDatabase: when what its stages recorded is not what they did.
    """

    def record(connection: sa.Connection) -> str | None:
        lock_runs(connection, [run_key])
        existing = connection.execute(
            sa.select(results.c.status).where(
                results.c.run_key == run_key, results.c.rerun == rerun
            )
        ).scalar()
        if existing in ("done", "diverged"):
            return str(existing)
        known = _known_chain(connection, run_key, rerun)
        mine = [replace(known[0], key=key) for key in chain] or known
        ended = _last_attempts(connection, mine)
        if ended is None:
            return None
        if mine != known:
            _replace_chain(connection, run_key, rerun, mine)
        refuse(database.address, [check_attempts(connection, [each.key for each in mine])])
        _replace_result(connection, run_key, rerun, ended)
        seal_results(connection, [(run_key, rerun)])
        return _status(ended)

    return database.transact(record, beside=Beside.OTHERS)


@dataclass(frozen=True, slots=True)
class _Read:
    """A stage that a run reads, and what trainings call the run."""

    key: str
    solo_key: str


def _known_chain(connection: sa.Connection, run_key: str, rerun: int) -> list[_Read]:
    rows = connection.execute(
        sa.select(run_stages.c.stage_key, run_stages.c.reading)
        .where(run_stages.c.run_key == run_key, run_stages.c.rerun == rerun)
        .order_by(run_stages.c.position)
    )
    return [_Read(row.stage_key, row.reading) for row in rows]


def _replace_chain(
    connection: sa.Connection, run_key: str, rerun: int, chain: Sequence[_Read]
) -> None:
    same = (run_stages.c.run_key == run_key) & (run_stages.c.rerun == rerun)
    connection.execute(sa.delete(run_stages).where(same))
    which = {"run_key": run_key, "rerun": rerun}
    rows = [
        {**which, "position": position, "stage_key": each.key, "reading": each.solo_key}
        for position, each in enumerate(chain)
    ]
    connection.execute(sa.insert(run_stages), rows)


@dataclass(frozen=True, slots=True)
class _Ended:
    """How one stage of a run has ended, for this run.

    Attributes:
        kind: of the stage.
        status: done, diverged or failed.
        row: the deciding attempt.
        outcome: of it; of a training, what became of this run.
    """

    kind: str
    status: str
    row: sa.Row[Any]
    outcome: Mapping[str, Any]


def _last_attempts(connection: sa.Connection, chain: Sequence[_Read]) -> list[_Ended] | None:
    """Return how each stage of a run ended, up to the first without success, or None.

    The first success decides; without one, the last failure. Trainings behind the one in which the
    run was satisfied are for other runs.
    """
    kinds = dict(
        connection.execute(
            sa.select(stages.c.stage_key, stages.c.kind).where(
                stages.c.stage_key.in_([each.key for each in chain])
            )
        ).all()
    )
    ended: list[_Ended] = []
    satisfied = False
    for each in chain:
        kind = kinds[each.key]
        if kind == "train" and satisfied:
            continue
        rows = _ended_attempts(connection, each.key)
        if not rows:
            return None
        if kind == "train":
            ended.append(_for_run(rows, each.solo_key))
            satisfied = "last_epoch" in ended[-1].outcome
        else:
            ended.append(_Ended(kind, rows[0].status, rows[0], rows[0].outcome or {}))
        if ended[-1].status != "done":
            break
    return ended


def _ended_attempts(connection: sa.Connection, stage_key: str) -> Sequence[sa.Row[Any]]:
    failed = attempts.c.status == "failed"
    return connection.execute(
        sa.select(attempts)
        .where(
            attempts.c.stage_key == stage_key,
            attempts.c.status.in_(("done", "diverged", "failed")),
        )
        .order_by(failed, attempts.c.number.desc())
    ).all()


def _for_run(rows: Sequence[sa.Row[Any]], solo_key: str) -> _Ended:
    """Return what became of one run in the attempts of a training, the newest success first."""
    for row in rows:
        mine = (row.outcome or {}).get("readers", {}).get(solo_key)
        if mine is not None:
            return _Ended("train", str(mine["status"]), row, mine)
    return _Ended("train", str(rows[0].status), rows[0], {})


def _status(ended: Sequence[_Ended]) -> str:
    return ended[-1].status


def _message(last: _Ended) -> str:
    """Return why a run has no result; nothing of a failure after it was satisfied."""
    return "" if last.status == "done" else str(last.outcome.get("message", last.row.error))


def _replace_result(
    connection: sa.Connection, run_key: str, rerun: int, ended: Sequence[_Ended]
) -> None:
    last = ended[-1]
    outcome: dict[str, Any] = {}
    for each in ended:
        outcome |= each.outcome
    ranges = [pair for each in ended for pair in each.outcome.get("reads", [])]
    train_seconds = _train_seconds(connection, ranges)
    same_read = (run_epochs.c.run_key == run_key) & (run_epochs.c.rerun == rerun)
    same_result = (results.c.run_key == run_key) & (results.c.rerun == rerun)
    connection.execute(sa.delete(run_epochs).where(same_read))
    connection.execute(sa.delete(results).where(same_result))
    connection.execute(
        sa.insert(results).values(
            run_key=run_key,
            rerun=rerun,
            status=last.status,
            message=_message(last),
            best_epoch=outcome.get("best_epoch"),
            last_epoch=outcome.get("last_epoch"),
            parameters=outcome.get("parameters"),
            train_seconds=train_seconds,
            seconds=train_seconds + _other_seconds(ended),
            device=_device(connection, ended, ranges),
            recorded=time.time(),
        )
    )
    for attempt_id, first, final in ranges:
        connection.execute(
            sa.insert(run_epochs).values(
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


def _other_seconds(ended: Sequence[_Ended]) -> float:
    """Return the seconds of the stages that have no epochs (preparing, features, evaluating)."""
    return sum(float(each.row.seconds or 0.0) for each in ended if each.kind != "train")


def _device(
    connection: sa.Connection, ended: Sequence[_Ended], ranges: Sequence[Sequence[int]]
) -> str:
    """Return the device of all attempts that are read, `mixed` for several."""
    query = sa.select(attempts.c.device).where(attempts.c.id.in_([each[0] for each in ranges]))
    devices = set(connection.execute(query).scalars())
    if len(devices) == 1:
        return str(devices.pop())
    return "mixed" if devices else str(ended[-1].row.device)

"""Where a run's numbers come from: the attempts at its stages, and those whose epochs it reads.

A training may go on from what another one left, so that some of its epochs were measured by
attempts at stages that are none of the run's. Returns plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from runner.core.stages import STAGE_KINDS
from runner.store.schema import (
    attempts,
    claims,
    environments,
    results,
    run_epochs,
    run_stages,
    stages,
    steps,
)


def attempts_of(connection: sa.Connection, run_key: str) -> list[dict[str, Any]]:
    """Return the attempts at the stages of a run, and those elsewhere whose epochs it reads.

    What a run reads of attempts has their ``first_epoch`` and ``last_epoch``, None for others;
    attempts at trainings that are none of its stages have no ``position`` and no ``reading``.
    Repetitions and stages are in order; what was trained elsewhere stands before the run's own.
    """
    read = _reads_of(connection, run_key)
    query = (
        _attempt_columns(run_stages.c.rerun, run_stages.c.position, run_stages.c.reading)
        .join(run_stages, run_stages.c.stage_key == stages.c.stage_key)
        .where(run_stages.c.run_key == run_key)
    )
    own = [dict(row._mapping) for row in connection.execute(query)]
    mine = {(each["rerun"], each["id"]) for each in own}
    elsewhere = {attempt for rerun, attempt in read if (rerun, attempt) not in mine}
    query = _attempt_columns().where(attempts.c.id.in_(elsewhere))
    others = {row.id: dict(row._mapping) for row in connection.execute(query)}
    own += [
        {"rerun": rerun, "position": None, "reading": None, **others[attempt]}
        for rerun, attempt in read
        if attempt in others and (rerun, attempt) not in mine
    ]
    for each in own:
        first, last = read.get((each["rerun"], each["id"]), (None, None))
        each["first_epoch"], each["last_epoch"] = first, last
        each.pop("checksum")
    return sorted(own, key=_in_order)


def _reads_of(connection: sa.Connection, run_key: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the first and last epoch that a run has read, by repetition and attempt."""
    same = (results.c.run_key == run_epochs.c.run_key) & (results.c.rerun == run_epochs.c.rerun)
    recorded = (
        sa.select(sa.func.max(steps.c.epoch))
        .where(
            steps.c.attempt_id == run_epochs.c.attempt_id,
            steps.c.epoch.between(run_epochs.c.first_epoch, run_epochs.c.last_epoch),
        )
        .scalar_subquery()
    )
    # what a run without a result may read is not all there yet
    last = sa.case((results.c.run_key.is_(None), recorded), else_=run_epochs.c.last_epoch)
    query = (
        sa.select(run_epochs, last.label("read"))
        .outerjoin(results, same)
        .where(run_epochs.c.run_key == run_key)
    )
    return {
        (row.rerun, row.attempt_id): (row.first_epoch, row.read)
        for row in connection.execute(query)
        if row.read is not None
    }


def _attempt_columns(*others: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return a query of attempts with their stage's kind, environment and process."""
    return (
        sa.select(
            *others,
            stages.c.kind,
            attempts,
            environments.c.content.label("environment"),
            claims.c.pid,
        )
        .join(stages, stages.c.stage_key == attempts.c.stage_key)
        .join(environments, environments.c.id == attempts.c.environment_id)
        .outerjoin(claims, claims.c.attempt_id == attempts.c.id)
    )


def _in_order(attempt: Mapping[str, Any]) -> tuple[int, ...]:
    """Return where an attempt stands among those of a run: by stage, number and epochs."""
    kind = STAGE_KINDS.index(attempt["kind"])
    if attempt["position"] is None:
        return attempt["rerun"], kind, 0, attempt["first_epoch"], attempt["number"]
    return attempt["rerun"], kind, 1, attempt["position"], attempt["number"]

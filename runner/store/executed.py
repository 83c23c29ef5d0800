"""What was planned for runs and what became of it: their stages, predictions, epochs and seconds.

Returns plans and plain values; how they are shown is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from runner.core.plan import Plan
from runner.core.records import ActualCost
from runner.core.stages import Stage
from runner.core.stored_stages import stage_from_json
from runner.store.database import Database
from runner.store.rows import selected
from runner.store.schema import attempts, run_stages, stages, steps

ENDED_WELL = ("done", "diverged", "reference")


def recorded_plan(database: Database, run_keys: Collection[str]) -> Plan:
    """Return the stages of the newest repetition of each of some runs, in their order.

    A run that was never asked for is not in the plan.
    """
    newest = (
        sa.select(run_stages.c.run_key, sa.func.max(run_stages.c.rerun).label("rerun"))
        .group_by(run_stages.c.run_key)
        .subquery()
    )
    same = (run_stages.c.run_key == newest.c.run_key) & (run_stages.c.rerun == newest.c.rerun)
    query = (
        sa.select(run_stages.c.run_key, stages)
        .join(newest, same)
        .join(stages, stages.c.stage_key == run_stages.c.stage_key)
        .order_by(run_stages.c.run_key, run_stages.c.position)
    )
    found: dict[str, Stage] = {}
    chains: dict[str, list[str]] = {key: [] for key in run_keys}
    with database.read() as connection:
        for row in connection.execute(query):
            if row.run_key not in chains:
                continue
            chains[row.run_key].append(row.stage_key)
            if row.stage_key not in found:
                found[row.stage_key] = stage_from_json(
                    row.kind, row.stage_key, row.spec, row.needs, row.cost_kind
                )
    in_order = dict.fromkeys(key for chain in chains.values() for key in chain)
    return Plan(
        stages=tuple(found[key] for key in in_order),
        stages_by_run={run: tuple(chain) for run, chain in chains.items() if chain},
    )


def last_epochs(database: Database, run_keys: Collection[str]) -> dict[str, int]:
    """Return the last epoch that each finished run has read, by run."""
    query = sa.text("SELECT run_key, last_epoch FROM latest_results WHERE status = 'done'")
    wanted = set(run_keys)
    with database.read() as connection:
        rows = connection.execute(query)
        return {row.run_key: row.last_epoch for row in rows if row.run_key in wanted}


def actual_costs(database: Database, stage_keys: Collection[str]) -> dict[str, ActualCost]:
    """Return what was expected of each stage that was ever begun, and what it took, by key.

    All attempts up to the newest that ended well count together: what was predicted before the
    first holds for them. Of a stage that never ended well, all attempts so far.
    """
    tries: dict[str, list[ActualCost]] = {}
    for row in _attempts_at(database, stage_keys):
        costs = tries.setdefault(row.stage_key, [])
        if costs and costs[-1].status not in ENDED_WELL:
            costs.append(_together(costs.pop(), row))
        else:
            costs.append(_together(None, row))
    return {
        key: next((each for each in reversed(costs) if each.status in ENDED_WELL), costs[-1])
        for key, costs in tries.items()
    }


def all_costs(database: Database, stage_keys: Collection[str]) -> Iterator[tuple[str, ActualCost]]:
    """Yield the key of each stage with what it took whenever it ended well, in order of time.

    A stage that was done again, since its product was gone, counts again.
    """
    tries: dict[str, ActualCost] = {}
    for row in _attempts_at(database, stage_keys):
        total = _together(tries.pop(row.stage_key, None), row)
        if total.status in ("done", "diverged"):
            yield row.stage_key, total
        elif total.status not in ("running", "reference"):
            tries[row.stage_key] = total


def _together(before: ActualCost | None, row: sa.Row[Any]) -> ActualCost:
    """Return what an attempt took, with what was stopped before it."""
    predicted: Mapping[str, Any] = row.predicted or {}
    if before is None:
        before = ActualCost("", predicted.get("epochs"), predicted.get("seconds"), 0, 0.0)
    return ActualCost(
        status=row.status,
        predicted_epochs=before.predicted_epochs,
        predicted_seconds=before.predicted_seconds,
        epochs=before.epochs + row.epochs,
        seconds=before.seconds + row.seconds,
    )


def _attempts_at(database: Database, stage_keys: Collection[str]) -> Iterable[sa.Row[Any]]:
    """Return the attempts at stages, with the number and the seconds of their epochs."""
    recorded = sa.select(sa.func.count(), sa.func.sum(steps.c.seconds)).where(
        steps.c.attempt_id == attempts.c.id
    )
    count, seconds = (
        recorded.with_only_columns(column).scalar_subquery() for column in recorded.selected_columns
    )
    query = sa.select(
        attempts.c.id,
        attempts.c.stage_key,
        attempts.c.status,
        attempts.c.predicted,
        sa.func.coalesce(attempts.c.seconds, seconds, 0.0).label("seconds"),
        count.label("epochs"),
    )
    with database.read() as connection:
        rows = selected(connection, query, attempts.c.stage_key, stage_keys)
        return sorted(rows, key=lambda row: int(row.id))

"""How far everything is: what has ended, what is recorded, what it took.

For planning and executing, as plain values. Lists and records for people are elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from runner.core.records import RunStatus
from runner.core.stages import Train
from runner.store.checking import check_attempts, refuse
from runner.store.database import Database, read_again
from runner.store.kinds import is_of_kind
from runner.store.rows import selected
from runner.store.schema import artifacts, attempts, results, run_stages, stages, steps


@read_again
def latest_results(
    database: Database, run_keys: Collection[str]
) -> dict[str, tuple[RunStatus, int]]:
    """Return status and repetition of the newest result of each run that has one."""
    found: dict[str, tuple[RunStatus, int]] = {}
    query = sa.text("SELECT run_key, status, rerun FROM latest_results")
    wanted = set(run_keys)
    with database.read() as connection:
        for row in connection.execute(query):
            if row.run_key in wanted:
                found[row.run_key] = (row.status, row.rerun)
    return found


@read_again
def next_rerun(database: Database, run_key: str) -> int:
    """Return the number of the run's next repetition: 0 when it has no stages yet."""
    query = sa.select(sa.func.max(run_stages.c.rerun)).where(run_stages.c.run_key == run_key)
    with database.read() as connection:
        newest = connection.execute(query).scalar()
    return 0 if newest is None else int(newest) + 1


@read_again
def open_reruns(database: Database) -> dict[str, int]:
    """Return, for each run whose newest repetition has no result yet, that repetition."""
    query = sa.text(
        "SELECT newest.run_key, newest.rerun FROM"
        " (SELECT run_key, max(rerun) AS rerun FROM run_stages GROUP BY run_key) AS newest"
        " LEFT JOIN results ON results.run_key = newest.run_key AND results.rerun = newest.rerun"
        " WHERE results.run_key IS NULL"
    )
    with database.read() as connection:
        return {row.run_key: row.rerun for row in connection.execute(query)}


@read_again
def check_recorded(database: Database) -> None:
    """Check what ended attempts recorded, before anything is built upon it.

    Raises:
        DamagedDatabase: when something is not what they did.
    """
    with database.read() as connection:
        refuse(database.address, [check_attempts(connection)])


@read_again
def ended_stages(database: Database, stage_keys: Collection[str] | None = None) -> dict[str, str]:
    """Return the status of the stages that have ended, all or those among ``stage_keys``."""
    found: dict[str, str] = {}
    ended = sa.select(attempts.c.stage_key, attempts.c.status).where(
        attempts.c.status.in_(("done", "diverged", "failed"))
    )
    with database.read() as connection:
        for row in selected(connection, ended, attempts.c.stage_key, stage_keys):
            if found.get(row.stage_key) not in ("done", "diverged"):
                found[row.stage_key] = row.status
    return found


@read_again
def finished_readers(database: Database) -> set[str]:
    """Return the readers that ended well in trainings that then diverged or failed."""
    query = sa.select(attempts.c.outcome).where(
        attempts.c.status.in_(("diverged", "failed")), attempts.c.outcome.is_not(None)
    )
    with database.read() as connection:
        outcomes = [row.outcome or {} for row in connection.execute(query)]
    return {
        name
        for outcome in outcomes
        for name, each in outcome.get("readers", {}).items()
        if each["status"] == "done"
    }


@read_again
def readers_with_results(database: Database, solo_keys: Collection[str]) -> set[str]:
    """Return those of some readers whose runs have results, diverged included."""
    same = (results.c.run_key == run_stages.c.run_key) & (results.c.rerun == run_stages.c.rerun)
    query = (
        sa.select(run_stages.c.reading)
        .distinct()
        .join(results, same)
        .where(results.c.status != "failed")
    )
    with database.read() as connection:
        return {row.reading for row in selected(connection, query, run_stages.c.reading, solo_keys)}


@read_again
def failed_attempts(database: Database) -> dict[str, int]:
    """Return, for each stage that has failed, how often."""
    query = (
        sa.select(attempts.c.stage_key, sa.func.count())
        .where(attempts.c.status == "failed")
        .group_by(attempts.c.stage_key)
    )
    with database.read() as connection:
        return {row[0]: int(row[1]) for row in connection.execute(query)}


@read_again
def count_ended(database: Database) -> int:
    """Return how many attempts at stages have ended, failed ones included."""
    ended = attempts.c.status.in_(("done", "diverged", "failed"))
    with database.read() as connection:
        query = sa.select(sa.func.count()).select_from(attempts).where(ended)
        return int(connection.execute(query).scalar_one())


@read_again
def seconds_by_cost_key(database: Database, device: str) -> dict[str, float]:
    """Return mean measured seconds an epoch (or a stage) of each cost key on a device.

    The first epoch of an attempt is left out where there are others: it pays for warming up. What
    was taken from the reference was measured elsewhere.
    """
    query = (
        sa.select(
            stages.c.cost_kind,
            sa.func.avg(steps.c.seconds).label("mean"),
        )
        .join(attempts, attempts.c.stage_key == stages.c.stage_key)
        .join(steps, steps.c.attempt_id == attempts.c.id)
        .where(
            stages.c.cost_kind != "",
            attempts.c.status != "reference",
            attempts.c.device == device,
        )
        .group_by(stages.c.cost_kind)
    )
    later = query.where(steps.c.epoch > 1)
    whole = (
        sa.select(stages.c.cost_kind, sa.func.avg(attempts.c.seconds).label("mean"))
        .join(attempts, attempts.c.stage_key == stages.c.stage_key)
        .where(
            stages.c.cost_kind != "",
            sa.not_(is_of_kind(Train)),
            attempts.c.status == "done",
            attempts.c.device == device,
        )
        .group_by(stages.c.cost_kind)
    )
    with database.read() as connection:
        found = {row.cost_kind: float(row.mean) for row in connection.execute(whole)}
        found |= {row.cost_kind: float(row.mean) for row in connection.execute(query)}
        found |= {row.cost_kind: float(row.mean) for row in connection.execute(later)}
    return found


@read_again
def recorded_epochs(database: Database, ranges: Sequence[Sequence[int]]) -> int:
    """Return how many epochs are recorded in (attempt, first, last) ranges."""
    total = 0
    with database.read() as connection:
        for attempt_id, first, last in ranges:
            query = (
                sa.select(sa.func.count())
                .select_from(steps)
                .where(
                    steps.c.attempt_id == attempt_id,
                    steps.c.epoch.between(first, last),
                )
            )
            total += int(connection.execute(query).scalar_one())
    return total


@read_again
def attempt_outcome(database: Database, stage_key: str) -> dict[str, Any] | None:
    """Return the outcome of the stage's newest attempt that has one, a success before a failure."""
    query = (
        sa.select(attempts.c.outcome)
        .where(
            attempts.c.stage_key == stage_key,
            attempts.c.status.in_(("done", "diverged", "failed")),
        )
        .order_by(attempts.c.status == "failed", attempts.c.number.desc())
    )
    with database.read() as connection:
        outcome = connection.execute(query).scalar()
    return None if outcome is None else dict(outcome)


@read_again
def artifact_digests(database: Database, names: Collection[str]) -> dict[str, str]:
    """Return the recorded digests of those artifacts that have one."""
    query = sa.select(artifacts.c.name, artifacts.c.digest)
    with database.read() as connection:
        rows = selected(connection, query, artifacts.c.name, names)
        return {row.name: row.digest for row in rows}


@read_again
def called_in_trainings(database: Database, run_key: str, rerun: int) -> str:
    """Return what trainings call a run, by which its weights and logits are named; "" of none."""
    query = sa.select(run_stages.c.reading).where(
        run_stages.c.run_key == run_key, run_stages.c.rerun == rerun, run_stages.c.reading != ""
    )
    with database.read() as connection:
        return str(connection.execute(query.limit(1)).scalar() or "")

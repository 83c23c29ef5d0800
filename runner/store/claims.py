"""Claims: which process does which stage, and how a dead one's work is taken over.

A claim is a row per stage with its owner and a lease. It is taken, renewed, checked and given up in
writing transactions only; looking whether a stage is free reads. In a server's database the row of
the stage is locked while it is claimed, and the row of the claim while anything is written under
it, so that nobody takes over what is just being written. Knows nothing of what a stage records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.artifacts.process import Process, is_dead
from runner.core.errors import ClaimLost
from runner.store.backend import Beside
from runner.store.checksums import seal_attempts
from runner.store.claim_answers import Claimed, ClaimHeld, EpochsHeld, StageEnded
from runner.store.claim_rows import insert_claim, lease_values
from runner.store.database import Database, read_again
from runner.store.dialects import is_postgres
from runner.store.leases import Moment
from runner.store.locks import lock_claiming
from runner.store.schema import attempts, claims, stages

ENDED = ("done", "diverged")
"""Attempt statuses after which a stage is not done again."""

# Asked for every stage, and built once: building them takes longer than the answers.
_KEY: sa.BindParameter[str] = sa.bindparam("key")
_CLAIM = sa.select(claims).where(claims.c.stage_key == _KEY)
_HOLDER = sa.select(claims.c.attempt_id).where(claims.c.stage_key == _KEY).with_for_update()
_STATUSES = sa.select(attempts.c.status, attempts.c.error).order_by(attempts.c.number)
_ATTEMPTS = _STATUSES.where(attempts.c.stage_key == _KEY)
_NEWEST = sa.select(sa.func.max(attempts.c.number)).where(attempts.c.stage_key == _KEY)

InTheWay = Callable[[sa.Connection, Moment], Process | None]
"""Tells which process does what keeps a stage waiting, though the stage itself is free."""


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """What is recorded of an attempt when it begins.

    Attributes:
        environment_id: its environment.
        numerics: what may change rounding.
        device: name of the device.
        predicted: epochs and seconds that the plan expected.
    """

    environment_id: int
    numerics: Mapping[str, Any]
    device: str
    predicted: Mapping[str, Any] | None = None


@read_again
def look_at_stage(
    database: Database,
    stage_key: str,
    again: bool = False,
    failures: int | None = None,
    now: Moment | None = None,
    in_the_way: InTheWay | None = None,
) -> StageEnded | ClaimHeld | EpochsHeld | None:
    """Return why a stage cannot be claimed now, or None when it is free; reads only.

    What is free now may be taken a moment later: :func:`claim_stage` looks again.

    Args:
        database: the database.
        stage_key: a recorded stage.
        again: it is to be done also when it has a result, because its product is gone.
        failures: how many attempts had failed when the plan was made; one more counts as ended,
            for another process that does the same plan has just tried.
        now: the time, for tests.
        in_the_way: tells of a process that does the same epochs as another stage.
    """
    with database.read() as connection:
        moment = Moment.now(connection) if now is None else now
        row = _claim_row(connection, stage_key)
        if row is not None and is_held(row, moment):
            return ClaimHeld(owner_of(row))
        ended = None if again else _ended(connection, stage_key, failures)
        return ended or _epochs_held(connection, moment, in_the_way)


def claim_stage(
    database: Database,
    stage_key: str,
    attempt: NewAttempt,
    again: bool = False,
    failures: int | None = None,
    now: Moment | None = None,
    in_the_way: InTheWay | None = None,
    unless_lost_after: int | None = None,
) -> Claimed | StageEnded | ClaimHeld | EpochsHeld:
    """Take a stage, unless it is done or another living process has it.

    Looking and taking are one transaction: of several processes exactly one gets the claim. The
    attempt of a dead owner is marked lost.

    Args:
        database: the database.
        stage_key: a recorded stage.
        attempt: what is recorded of the attempt.
        again: as of :func:`look_at_stage`.
        failures: likewise.
        now: the time, for tests.
        in_the_way: as of :func:`look_at_stage`.
        unless_lost_after: a stage counts as held where its process has died in an attempt with a
            higher id than this.
    """

    def counts(connection: sa.Connection, row: sa.Row[Any]) -> bool:
        moment = Moment.now(connection) if now is None else now
        is_left = unless_lost_after is not None and row.attempt_id > unless_lost_after
        return is_left or is_held(row, moment)

    def claim(connection: sa.Connection) -> Claimed | StageEnded | ClaimHeld | EpochsHeld:
        # what others have or take is found before the queue of those who claim, not behind it
        is_free = _lock_stage(connection, stage_key)
        row = _claim_row(connection, stage_key)
        if not is_free:
            return ClaimHeld(None if row is None else owner_of(row))
        if row is not None and counts(connection, row):
            return ClaimHeld(owner_of(row))
        if in_the_way is not None:
            lock_claiming(connection)
        if row is not None:
            owner = owner_of(row)
            row = _claim_row(connection, stage_key, lock=True)
            if row is None or counts(connection, row):  # who locks it is writing, and so alive
                return ClaimHeld(owner)
            _drop(connection, row)
        moment = Moment.now(connection) if now is None else now
        ended = None if again else _ended(connection, stage_key, failures)
        ended_or_held = ended or _epochs_held(connection, moment, in_the_way)
        if ended_or_held is not None:
            return ended_or_held
        if in_the_way is None:
            lock_claiming(connection)
        attempt_id = _insert_attempt(connection, stage_key, attempt, moment)
        insert_claim(connection, stage_key, attempt_id, moment)
        return Claimed(stage_key, attempt_id, None if row is None else row.attempt_id)

    return database.transact(claim, beside=Beside.OTHERS)


def _lock_stage(connection: sa.Connection, stage_key: str) -> bool:
    """Lock a stage until the end, in a server's database; False where another is claiming it.

    Waits for nobody. Its claim stays free: whoever has it may have to write meanwhile.
    """
    if not is_postgres(connection):
        return True
    mine = sa.select(stages.c.stage_key).where(stages.c.stage_key == stage_key)
    locked = connection.execute(mine.with_for_update(key_share=True, skip_locked=True)).first()
    return locked is not None or connection.execute(mine).first() is None


def _epochs_held(
    connection: sa.Connection, moment: Moment, in_the_way: InTheWay | None
) -> EpochsHeld | None:
    owner = None if in_the_way is None else in_the_way(connection, moment)
    return None if owner is None else EpochsHeld(owner)


def _claim_row(connection: sa.Connection, stage_key: str, lock: bool = False) -> sa.Row[Any] | None:
    """Return the row of a claim; with a lock, None also where its owner is just writing."""
    query = _CLAIM.with_for_update(skip_locked=True) if lock else _CLAIM
    return connection.execute(query, {"key": stage_key}).first()


@read_again
def claims_by_process(database: Database) -> dict[Process, list[Claimed]]:
    """Return which claims each process has, on whatever machine."""
    found: dict[Process, list[Claimed]] = {}
    with database.read() as connection:
        for row in connection.execute(sa.select(claims)):
            claim = Claimed(row.stage_key, row.attempt_id)
            found.setdefault(owner_of(row), []).append(claim)
    return found


def owner_of(row: Any) -> Process:
    """Return the process that a row of claims belongs to."""
    return Process(row.host, row.boot_id, row.pid, row.process_started, row.process_ticks)


def is_held(row: Any, moment: Moment) -> bool:
    """Return whether a claim counts: its lease has not run out and its process may be alive.

    Between processes of one boot the lease is compared with a clock that nobody sets.
    """
    owner = owner_of(row)
    if owner.is_of_this_boot() and row.lease_monotonic is not None:
        lasts = row.lease_monotonic > moment.monotonic
    else:
        lasts = row.lease_until > moment.wall
    lasts = lasts or not moment.could_renew
    # where several machines work, another may have this one's name
    is_known = owner.is_of_this_boot() or not moment.is_servers
    return bool(lasts) and not (is_known and is_dead(owner))


def _drop(connection: sa.Connection, row: Any) -> None:
    connection.execute(sa.delete(claims).where(claims.c.stage_key == row.stage_key))
    connection.execute(
        sa.update(attempts)
        .where(attempts.c.id == row.attempt_id, attempts.c.status == "running")
        .values(status="lost", error="the process died")
    )
    seal_attempts(connection, [row.attempt_id])


def _ended(connection: sa.Connection, stage_key: str, failures: int | None) -> StageEnded | None:
    rows = connection.execute(_ATTEMPTS, {"key": stage_key}).all()
    for row in rows:
        if row.status in ENDED:
            return StageEnded(row.status, row.error)
    failed = [row for row in rows if row.status == "failed"]
    if failures is not None and len(failed) > failures:
        return StageEnded("failed", failed[-1].error)
    return None


def _insert_attempt(
    connection: sa.Connection, stage_key: str, attempt: NewAttempt, moment: Moment
) -> int:
    number = int(connection.execute(_NEWEST, {"key": stage_key}).scalar() or 0) + 1
    inserted = connection.execute(
        sa.insert(attempts).values(
            stage_key=stage_key,
            number=number,
            status="running",
            environment_id=attempt.environment_id,
            numerics=dict(attempt.numerics),
            device=attempt.device,
            started=moment.wall,
            predicted=None if attempt.predicted is None else dict(attempt.predicted),
            error="",
        )
    )
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])


def renew_claim(database: Database, claim: Claimed) -> None:
    """Extend the lease, also while another process writes alone.

    Raises:
        ClaimLost: when another process has taken the stage over.
    """

    def renew(connection: sa.Connection) -> None:
        hold_claim(connection, claim)
        lease = lease_values(connection, Moment.now(connection))
        connection.execute(sa.update(claims).where(_is_ours(claim)).values(**lease))

    database.transact(renew, beside=Beside.ALL, is_idempotent=True)


def hold_claim(connection: sa.Connection, claim: Claimed) -> None:
    """Check, within a writing transaction, that the claim is ours, and stays so until its end.

    Raises:
        ClaimLost: when another process has taken the stage over.
    """
    if connection.execute(_HOLDER, {"key": claim.stage_key}).scalar() != claim.attempt_id:
        raise ClaimLost(f"stage {claim.stage_key[:8]} was taken over by another process")


@read_again
def check_not_lost(database: Database, claim: Claimed) -> None:
    """Check that no other process has taken the stage over; our own end of it does not count.

    Raises:
        ClaimLost: when one has.
    """
    with database.read() as connection:
        status = connection.execute(
            sa.select(attempts.c.status).where(attempts.c.id == claim.attempt_id)
        ).scalar()
    if status == "lost":
        raise ClaimLost(f"stage {claim.stage_key[:8]} was taken over by another process")


def release_claim(connection: sa.Connection, claim: Claimed) -> None:
    """Give the claim up, within a writing transaction."""
    connection.execute(sa.delete(claims).where(_is_ours(claim)))


def _is_ours(claim: Claimed) -> sa.ColumnElement[bool]:
    return sa.and_(claims.c.stage_key == claim.stage_key, claims.c.attempt_id == claim.attempt_id)

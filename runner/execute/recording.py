"""How the end of an attempt is recorded, well or badly.

Turns what the engine gives into the store's rows. Decides nothing about what comes next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.core.errors import ClaimLost, StoreError
from runner.core.records import AttemptStatus
from runner.core.stages import Stage
from runner.engine.job import StageJob
from runner.store.claim_answers import Claimed
from runner.store.database import Database
from runner.store.recorder import end_attempt

if TYPE_CHECKING:
    from runner.engine.context import Outcome


def record_outcome(database: Database, claim: Claimed, outcome: Outcome, seconds: float) -> None:
    """End an attempt with what its stage gave.

    Raises:
        ClaimLost: when another process took the stage over.
    """
    status: AttemptStatus = "done" if outcome.status == "done" else "diverged"
    end_attempt(
        database,
        claim,
        status,
        seconds,
        outcome=outcome.values,
        error=outcome.message,
        measured=outcome.measured,
        produced=outcome.produced,
    )


def close_attempt(
    database: Database,
    claim: Claimed,
    status: AttemptStatus,
    seconds: float,
    error: str,
    job: StageJob[Stage] | None = None,
) -> None:
    """End an attempt without a result, as far as the database can still be written.

    Of a training for several runs, those that were satisfied before it failed have theirs.
    """
    finished = {} if job is None else job.finished_readers
    try:
        end_attempt(
            database,
            claim,
            status,
            seconds,
            outcome={"readers": finished} if finished else None,
            error=error,
            produced=job.produced if job is not None else (),
        )
    except (ClaimLost, StoreError):
        return

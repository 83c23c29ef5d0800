"""The local executor: one process, one stage after another, on one device.

Several such processes on one database share the work: each claims the next free stage, waits for
what others are doing, and takes over from the dead.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
import torch

from runner.core.errors import ClaimLost, DiskFull, Interrupted, RunnerError, StoreBusy
from runner.core.types import AttemptStatus, Stage
from runner.engine.context import Context, Outcome
from runner.engine.engine import Job, do_stage, end_stage, forget_images, tidy_checkpoints
from runner.execute.heartbeat import Heartbeat
from runner.execute.work import Work
from runner.store.catalogue import record_environment
from runner.store.claims import Claim, Ended, Held, claim_stage
from runner.store.database import Database
from runner.store.queries import (
    attempt_outcome,
    ended_stages,
    failed_attempts,
    held_stages,
    recorded_epochs,
)
from runner.store.recorder import Artifact, end_attempt, record_epochs, record_result

WAIT_SECONDS = 0.5


def execute_locally(work: Work) -> None:
    """Do every stage of the plan and record every result.

    Returns when all stages have ended, here or in other processes.

    Raises:
        Interrupted: when asked to stop; what is finished is recorded.
        DiskFull: nothing recorded is lost.
    """
    try:
        _Execution(work).go()
    finally:
        forget_images()


class _Execution:
    """One invocation's way through a plan."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pending = {stage.key: stage for stage in work.plan.stages}
        keys = {key for chain in work.plan.reads.values() for key in chain}
        self._status: dict[str, str] = ended_stages(work.database, keys)
        for key in self._pending:
            self._status.pop(key, None)
        self._open_runs: dict[str, list[str]] = {}
        for run, chain in work.plan.reads.items():
            if run not in work.facts.finished:
                for key in chain:
                    self._open_runs.setdefault(key, []).append(run)
        self._environment = record_environment(work.database, work.environment)
        self._failures = failed_attempts(work.database)
        self._waited_for = ""

    def go(self) -> None:
        self._tidy()
        self._record_results(list(self._open_runs))
        while self._pending:
            if self._work.context.should_stop():
                raise Interrupted("stopped between two stages; nothing is redone")
            moved = [stage for stage in list(self._pending.values()) if self._try(stage)]
            if not moved and self._pending:
                time.sleep(WAIT_SECONDS)

    def _tidy(self) -> None:
        """Remove checkpoints that a process left that was killed when its training had ended."""
        ended = {key for key, status in self._status.items() if status != "failed"}
        tidy_checkpoints(self._work.context, ended - held_stages(self._work.database))

    def _try(self, stage: Stage) -> bool:
        """Do a stage if it is its turn and it is free; return whether it has ended."""
        if any(need in self._pending for need in stage.needs):
            return False
        if any(self._status.get(need, "done") != "done" for need in stage.needs):
            return self._end(stage, "blocked", 0.0, "")
        again = stage.key in self._work.facts.done
        if again and self._work.context.artifact_path(stage.produces).exists():
            return self._end(stage, "done", 0.0, "")
        taken = claim_stage(
            self._work.database,
            stage.key,
            self._environment,
            self._work.context.numerics,
            str(self._work.context.numerics["device"]),
            again=again,
            failures=self._failures.get(stage.key, 0),
        )
        if isinstance(taken, Held):
            self._tell_waiting(str(taken.owner))
            return False
        if isinstance(taken, Ended):
            return self._end(stage, taken.status, 0.0, taken.error)
        return self._do(stage, taken)

    def _tell_waiting(self, owner: str) -> None:
        if owner != self._waited_for:
            self._work.listener.noted(
                f"{owner} does a stage of this plan; sharing the work with it"
            )
            self._waited_for = owner

    def _do(self, stage: Stage, claim: Claim) -> bool:
        work = self._work
        if claim.took_over:
            work.listener.noted("taking over from a process that ended without a word")
        work.listener.stage_began(stage)
        started = time.perf_counter()
        try:
            with Heartbeat(work.database, claim) as heartbeat:
                outcome = do_stage(self._context(stage, heartbeat), self._job(stage, claim))
            seconds = time.perf_counter() - started
            _record(work.database, claim, outcome, seconds)
        except ClaimLost as lost:
            work.listener.noted(str(lost))
            return False
        except (Interrupted, KeyboardInterrupt):
            _close(work.database, claim, "interrupted", time.perf_counter() - started, "")
            raise
        except Exception as error:
            seconds = time.perf_counter() - started
            if isinstance(error, DiskFull | StoreBusy) or _is_full_disk(error):
                _close(work.database, claim, "interrupted", seconds, str(error))
                raise DiskFull(error) if isinstance(error, OSError) else error from None
            message = (
                str(error) if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
            )
            _close(work.database, claim, "failed", seconds, message)
            if isinstance(error, torch.AcceleratorError):
                raise RunnerError(
                    f"the device is in a state that ends this process: {message}\n"
                    "run the same command again to go on; --retry-failed does this run again"
                ) from error
            return self._end(stage, "failed", seconds, message)
        end_stage(work.context, stage)
        return self._end(stage, outcome.status, seconds, outcome.message)

    def _context(self, stage: Stage, heartbeat: Heartbeat) -> Context:
        work, asked = self._work, self._work.context.should_stop

        def should_stop() -> bool:
            if heartbeat.lost:
                raise ClaimLost("another process has taken this stage over")
            return asked()

        return replace(
            work.context,
            should_stop=should_stop,
            on_progress=lambda progress: work.listener.stage_moved(stage, progress),
            on_note=work.listener.noted,
        )

    def _job(self, stage: Stage, claim: Claim) -> Job:
        database = self._work.database
        parent = stage.spec.get("train_stage")
        return Job(
            stage=stage,
            attempt=claim.attempt_id,
            store_epochs=lambda records: record_epochs(database, claim, records),
            can_continue=lambda ranges: _all_recorded(database, stage.key, ranges),
            parent_outcome={} if parent is None else attempt_outcome(database, parent) or {},
        )

    def _end(self, stage: Stage, status: str, seconds: float, message: str) -> bool:
        del self._pending[stage.key]
        self._status[stage.key] = status
        if status != "blocked":
            self._work.listener.stage_ended(stage, status, seconds, message)
        self._record_results([stage.key])
        return True

    def _record_results(self, stage_keys: Sequence[str]) -> None:
        """Record the runs that read one of these stages and may be complete now."""
        work, reads = self._work, self._work.plan.reads
        for run in dict.fromkeys(run for key in stage_keys for run in self._open_runs.get(key, [])):
            if any(key in self._pending for key in reads[run]) and not self._is_over(run):
                continue
            status = record_result(work.database, run, work.reruns[run])
            if status is not None:
                for key in reads[run]:
                    self._open_runs[key].remove(run)
                work.listener.run_ended(run, status)

    def _is_over(self, run: str) -> bool:
        statuses = [self._status.get(key) for key in self._work.plan.reads[run]]
        return any(status in ("failed", "diverged") for status in statuses)


def _record(database: Database, claim: Claim, outcome: Outcome, seconds: float) -> None:
    status: AttemptStatus = "done" if outcome.status == "done" else "diverged"
    end_attempt(
        database,
        claim,
        status,
        seconds,
        outcome=outcome.values,
        error=outcome.message,
        measured=outcome.measured,
        produced=[Artifact(each.name, each.digest, each.num_bytes) for each in outcome.produced],
    )


def _close(
    database: Database, claim: Claim, status: AttemptStatus, seconds: float, error: str
) -> None:
    """End an attempt without a result, as far as the database can still be written."""
    try:
        end_attempt(database, claim, status, seconds, error=error)
    except (ClaimLost, DiskFull, StoreBusy, sa.exc.OperationalError):
        return


def _all_recorded(database: Database, stage_key: str, ranges: Sequence[Sequence[int]]) -> bool:
    wanted = sum(last - first + 1 for _, first, last in ranges)
    return recorded_epochs(database, stage_key, ranges) == wanted


def _is_full_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)

"""The local executor: one process, one stage after another, on one device.

Several such processes on one database share the work: each claims the next free stage, waits for
what others are doing, and takes over from the dead.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from runner.core.errors import (
    ClaimLost,
    Interrupted,
    RunnerError,
)
from runner.core.stages import Stage
from runner.engine.context import Context
from runner.engine.data.pixels import forget_images
from runner.engine.engine import (
    StageJob,
    do_stage,
    end_stage,
    forget_checkpoints,
    left_checkpoints,
)
from runner.engine.products import is_there
from runner.execute.heartbeat import Heartbeat
from runner.execute.recording import close_attempt, record_outcome
from runner.execute.work import PlanExecution
from runner.execute.work_folder import WorkFolder
from runner.planner.cost import predicted
from runner.planner.recorded import record_for
from runner.store.catalogue import record_environment
from runner.store.claims import Claim, ClaimHeld, StageEnded, claim_stage
from runner.store.database import Database
from runner.store.progress import (
    artifact_digests,
    attempt_outcome,
    ended_stages,
    failed_attempts,
    finished_readings,
    recorded_epochs,
)
from runner.store.recorder import record_epochs, record_ranges
from runner.store.results import record_result
from runner.store.running import held_stages

WAIT_SECONDS = 0.5


def execute_locally(work: PlanExecution) -> None:
    """Do every stage of the plan and record every result.

    Returns when all stages have ended, here or in other processes.

    Raises:
        Interrupted: when asked to stop; what is finished is recorded.
        StoreError: when the disk is full, or the database or `.runner/` was removed; what was
            recorded before is safe.
    """
    try:
        _Execution(work).go()
    finally:
        forget_images()


class _Execution:
    """One invocation's way through a plan."""

    def __init__(self, work: PlanExecution) -> None:
        self._work = work
        self._pending = {stage.key: stage for stage in work.plan.stages}
        keys = {key for chain in work.plan.reads.values() for key in chain}
        self._status: dict[str, str] = ended_stages(work.database, keys)
        for key in self._pending:
            self._status.pop(key, None)
        self._readings: dict[str, dict[str, Any]] = {}
        for key in self._status:
            self._learn_readings(key)
        self._open_runs: dict[str, list[str]] = {}
        for run, chain in work.plan.reads.items():
            if run not in work.facts.finished:
                for key in chain:
                    self._open_runs.setdefault(key, []).append(run)
        self._environment = record_environment(work.database, work.environment)
        self._failures = failed_attempts(work.database)
        self._waited_for = ""
        self._folder = WorkFolder(work.context)

    def go(self) -> None:
        self._tidy()
        self._record_results(list(self._open_runs))
        while self._pending:
            if self._work.context.should_stop():
                raise Interrupted("stopped between two stages; nothing is redone")
            moved = [stage for stage in list(self._pending.values()) if self._try(stage)]
            if not moved and self._pending:
                time.sleep(WAIT_SECONDS)
        self._tidy()

    def _tidy(self) -> None:
        """Remove the checkpoints of trainings that have ended, or whose runs all have results.

        A process left them that was stopped: later the rest of a training may have been done under
        another key.
        """
        context, database = self._work.context, self._work.database
        left = left_checkpoints(context)
        if not left:
            return
        held = held_stages(database, alive=True)
        finished = finished_readings(database, {name for names in left.values() for name in names})
        ended = {key for key, status in self._status.items() if status in ("done", "diverged")}
        useless = [key for key, names in left.items() if names and finished.issuperset(names)]
        forget_checkpoints(context, {*useless, *ended.intersection(left)} - held)

    def _try(self, stage: Stage) -> bool:
        """Do a stage if it is its turn and it is free; return whether it has ended."""
        if any(need in self._pending for need in stage.needs):
            return False
        if self._is_blocked(stage) or self._has_no_readers_left(stage):
            return self._end(stage, "blocked", 0.0, "")
        again = stage.key in self._work.facts.done
        if again and self._has_all_products(stage):
            return self._end(stage, "done", 0.0, "")
        taken = claim_stage(
            self._work.database,
            stage.key,
            self._environment,
            self._work.context.numerics,
            str(self._work.context.numerics["device"]),
            again=again,
            failures=self._failures.get(stage.key, 0),
            predicted=predicted(stage, self._work.facts),
        )
        if isinstance(taken, ClaimHeld):
            self._tell_waiting(str(taken.owner))
            return False
        if isinstance(taken, StageEnded):
            self._learn_readings(stage.key)
            return self._end(stage, taken.status, 0.0, taken.error)
        return self._do(stage, taken)

    def _is_blocked(self, stage: Stage) -> bool:
        """Return whether a stage before it has ended so that it cannot be done.

        An evaluation only asks what became of its own run in the trainings: others may have failed
        after it was satisfied.
        """
        wrong = {need for need in stage.needs if self._status.get(need, "done") != "done"}
        reading = stage.spec.get("reading")
        if reading is None:
            return bool(wrong)
        mine = self._readings.get(str(reading), {"status": "lost"})
        return mine["status"] != "done" or bool(wrong.difference(stage.spec["trainings"]))

    def _has_no_readers_left(self, stage: Stage) -> bool:
        """Return whether all readers of a branch were satisfied before it began."""
        if stage.kind != "train" or not stage.spec["start"]:
            return False
        settled = all(name in self._readings for name in stage.spec["readers"])
        weights = [name for name in stage.produces if name.startswith("weights/")]
        return settled and all(map(self._is_there, weights))

    def _is_there(self, name: str) -> bool:
        context = self._work.context
        return is_there(context.folder, context.database, name, self._digest_of)

    def _digest_of(self, name: str) -> str | None:
        return artifact_digests(self._work.database, [name]).get(name)

    def _has_all_products(self, stage: Stage) -> bool:
        return all(map(self._is_there, stage.produces))

    def _learn_readings(self, stage_key: str) -> None:
        """Learn what became of the runs that read a training that has ended."""
        outcome = attempt_outcome(self._work.database, stage_key) or {}
        self._take_readings(outcome)

    def _take_readings(self, outcome: Mapping[str, Any]) -> None:
        for name, reading in outcome.get("readers", {}).items():
            self._readings.setdefault(name, reading)

    def _tell_waiting(self, owner: str) -> None:
        if owner != self._waited_for:
            self._work.listener.on_note(
                f"{owner} does a stage of this plan; sharing the work with it"
            )
            self._waited_for = owner

    def _do(self, stage: Stage, claim: Claim) -> bool:
        work = self._work
        if claim.took_over:
            work.listener.on_note("taking over from a process that ended without a word")
        work.listener.on_stage_start(stage)
        started = time.perf_counter()
        job = self._job(stage, claim)
        try:
            with Heartbeat(work.database, claim) as heartbeat:
                outcome = do_stage(self._context(stage, heartbeat), job)
            seconds = time.perf_counter() - started
            record_outcome(work.database, claim, outcome, seconds)
        except ClaimLost as lost:
            work.listener.on_note(str(lost))
            return False
        except (Interrupted, KeyboardInterrupt):
            close_attempt(work.database, claim, "interrupted", time.perf_counter() - started, "")
            raise
        except Exception as error:
            seconds = time.perf_counter() - started
            if (end := self._folder.end_of_all(stage, error)) is not None:
                close_attempt(work.database, claim, "interrupted", seconds, str(error), job)
                raise end from None
            message = (
                str(error) if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
            )
            close_attempt(work.database, claim, "failed", seconds, message, job)
            self._take_readings({"readers": job.settled})
            if isinstance(error, torch.AcceleratorError):
                raise RunnerError(
                    f"the device is in a state that ends this process: {message}",
                    hint="run the same command again to go on; --retry-failed does this run again",
                ) from error
            return self._end(stage, "failed", seconds, message)
        end_stage(work.context, stage)
        self._take_readings(outcome.values)
        return self._end(stage, outcome.status, seconds, outcome.message)

    def _context(self, stage: Stage, heartbeat: Heartbeat) -> Context:
        work, asked = self._work, self._work.context.should_stop

        def should_stop() -> bool:
            if heartbeat.ended is not None:
                raise heartbeat.ended
            return asked()

        return replace(
            work.context,
            should_stop=should_stop,
            on_progress=lambda progress: work.listener.on_stage_progress(stage, progress),
            on_note=work.listener.on_note,
        )

    def _job(self, stage: Stage, claim: Claim) -> StageJob:
        database, records = self._work.database, self._work.facts.records
        return StageJob(
            stage=stage,
            attempt=claim.attempt_id,
            store_epochs=lambda records: record_epochs(database, claim, records),
            can_continue=lambda ranges: _all_recorded(database, ranges),
            readings=self._readings,
            digest_of=self._digest_of,
            store_ranges=lambda ranges: record_ranges(database, claim, ranges),
            record=record_for(stage, records) if "recorded" in stage.spec else None,
        )

    def _end(self, stage: Stage, status: str, seconds: float, message: str) -> bool:
        work = self._work
        del self._pending[stage.key]
        self._status[stage.key] = status
        if work.context.cache is not None:
            work.context.cache.release(map(work.context.artifact_path, stage.consumes))
        if status != "blocked":
            work.listener.on_stage_end(stage, status, seconds, message)
        self._record_results([stage.key])
        return True

    def _record_results(self, stage_keys: Sequence[str]) -> None:
        """Record the runs that read one of these stages and may be complete now."""
        work, reads = self._work, self._work.plan.reads
        for run in dict.fromkeys(run for key in stage_keys for run in self._open_runs.get(key, [])):
            if any(key in self._pending for key in reads[run]) and not self._is_over(run):
                continue
            status = record_result(work.database, run, work.reruns[run], reads[run])
            if status is not None:
                for key in reads[run]:
                    self._open_runs[key].remove(run)
                work.listener.on_run_end(run, status)

    def _is_over(self, run: str) -> bool:
        statuses = [self._status.get(key) for key in self._work.plan.reads[run]]
        return any(status in ("failed", "diverged") for status in statuses)


def _all_recorded(database: Database, ranges: Sequence[Sequence[int]]) -> bool:
    wanted = sum(last - first + 1 for _, first, last in ranges)
    return recorded_epochs(database, ranges) == wanted

"""Attempts at stages that are done together, or at one: from their claims to their ends.

Owns how the end of each is recorded, when its claim is given back, and its part of the time. Knows
no device; what is computed is the worker's business.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import torch

from runner.artifacts.exchange import drop, hurry, settle, share
from runner.core.artifacts import checkpoint_names
from runner.core.errors import ClaimLost, Interrupted, OutOfMemory, RunnerError
from runner.core.moments import reached
from runner.core.records import AttemptStatus
from runner.core.stages import Stage
from runner.engine.context import Context, Outcome
from runner.engine.engine import end_stage
from runner.engine.job import StageJob
from runner.engine.training.cohort import TogetherOutOfMemory
from runner.execute.crowd import Crowd
from runner.execute.heartbeat import Heartbeat
from runner.execute.listener import Listener
from runner.execute.recording import close_attempt, record_outcome
from runner.execute.stage_worker import Answer, Ended, NotTogether, StageResult
from runner.execute.work_folder import WorkFolder
from runner.store.claim_answers import Claimed
from runner.store.database import Database

STOPS = (Interrupted, KeyboardInterrupt)


@dataclass(frozen=True)
class Home:
    """What attempts are recorded in, and who is told.

    Attributes:
        database: where they are recorded.
        context: of the invocation.
        folder: `.runner/` as it was when the invocation began.
        listener: is told of claims that were lost.
        crowd: the other workers on the device.
    """

    database: Database
    context: Context
    folder: WorkFolder
    listener: Listener
    crowd: Crowd


@dataclass(frozen=True)
class _Over:
    """An attempt whose stage has ended in one way or another.

    Attributes:
        job: what was done.
        claim: still held.
        seconds: that are its own.
    """

    job: StageJob[Stage]
    claim: Claimed
    seconds: float


class Attempts:
    """The attempts of one call of a worker."""

    def __init__(self, home: Home, heartbeat: Heartbeat, ended: Ended) -> None:
        """Begin with none.

        Args:
            home: where they are recorded.
            heartbeat: keeps their claims.
            ended: told what became of each stage.
        """
        self._home, self._heartbeat, self._ended = home, heartbeat, ended
        self._open: dict[str, tuple[StageJob[Stage], Claimed]] = {}
        self._seconds = SharedSeconds()
        self._end_of_plan: BaseException | None = None

    @property
    def jobs(self) -> list[StageJob[Stage]]:
        """Those that have not ended, in the order in which they began."""
        return [job for job, _ in self._open.values()]

    def begin(self, job: StageJob[Stage], claim: Claimed) -> None:
        """Keep a claim from now on."""
        self._open[job.stage.key] = job, claim
        self._seconds.begin(job.stage.key)
        self._heartbeat.keep(claim)

    def end(self, job: StageJob[Stage], outcome: Outcome | BaseException) -> None:
        """Record how one has ended, give its claim back, and tell it.

        Raises:
            BaseException: what ends the whole plan; :meth:`end_all` then closes the others.
        """
        try:
            seconds = self._seconds.end(job.stage.key)
            outcome = self._shared(job, outcome)  # while its claim is still renewed
            answer = self._answer(self._over(job, seconds), outcome)
            self._ended(job.stage, answer)
        except BaseException as error:
            self._end_of_plan = error
            raise

    def end_all(self, error: BaseException) -> None:
        """Record that an error has ended all that are left.

        Raises:
            BaseException: one that ends the whole plan, when all are recorded.
        """
        left = self.jobs
        if isinstance(error, STOPS) or not left:
            self.stop(error)
        for job in left:
            if self._end_of_plan is None:
                with suppress(BaseException):  # if it is the end of the plan, it is raised below
                    self.end(job, error)
        if self._end_of_plan is not None:
            self.stop(self._end_of_plan)

    def stop(self, error: BaseException) -> NoReturn:
        """Record that all that are left are stopped, as the whole plan is.

        Raises:
            BaseException: the error that ends the plan.
        """
        left = self.jobs
        error = self._shared_checkpoints(left, error)
        for job in left:
            self._close(self._over(job, self._seconds.end(job.stage.key)), "interrupted", "")
        if isinstance(error, Interrupted) and len(left) > 1:
            others = f"{len(left) - 1} others done with it likewise"
            if len(left) == 2:
                others = "another done with it likewise"
            raise Interrupted(f"{error.found}, {others}")
        raise error

    def _over(self, job: StageJob[Stage], seconds: float) -> _Over:
        _, claim = self._open.pop(job.stage.key)
        self._heartbeat.drop(claim)
        return _Over(job, claim, seconds)

    def _close(self, over: _Over, status: AttemptStatus, error: str) -> None:
        # who does it next may put further ones there
        drop(self._home.context.artifacts, checkpoint_names(over.job.stage.key))
        close_attempt(self._home.database, over.claim, status, over.seconds, error, over.job)

    def _answer(self, over: _Over, outcome: Outcome | BaseException) -> Answer:
        if not isinstance(outcome, Outcome):
            return self._without_result(over, outcome)
        home = self._home
        try:
            record_outcome(home.database, over.claim, outcome, over.seconds)
        except BaseException as error:  # a second Ctrl-C, too, gives the claim back
            return self._without_result(over, error)
        reached("outcome recorded")
        end_stage(home.context, over.job.stage)
        readers = outcome.values.get("readers", {})
        return StageResult(outcome.status, over.seconds, outcome.message, readers)

    def _shared(
        self, job: StageJob[Stage], outcome: Outcome | BaseException
    ) -> Outcome | BaseException:
        """Wait until what a stage has left is where other machines find it, as far as it can be.

        It has ended, whatever comes of that: where it is asked to stop, it waits a moment only.

        Returns:
            The outcome, or what has ended the waiting.
        """
        if not isinstance(outcome, Outcome):
            return outcome
        artifacts, should_stop = self._home.context.artifacts, self._home.context.should_stop
        left = {*job.stage.produces, *(each.name for each in outcome.produced)}
        try:
            for name in sorted(left):
                share(artifacts, name, job.check_claim)
            settle(artifacts, left, should_stop)
        except BaseException as error:  # as Ctrl-C, which gives the claim back
            return error
        return outcome

    def _shared_checkpoints(
        self, jobs: Sequence[StageJob[Stage]], error: BaseException
    ) -> BaseException:
        """Wait a moment until what stopped stages go on from is where other machines find it.

        Returns:
            The error, or what has ended the waiting.
        """
        if not isinstance(error, Interrupted):
            return error
        artifacts = self._home.context.artifacts
        try:
            hurry(artifacts, error)
            settle(artifacts, [name for job in jobs for name in checkpoint_names(job.stage.key)])
        except BaseException as ending:  # as Ctrl-C: claims are given back all the same
            return ending
        return error

    def _without_result(self, over: _Over, error: BaseException) -> Answer:
        """Record a failure of one stage, or why it is to be tried in another way.

        Raises:
            BaseException: what ends the whole plan.
        """
        if isinstance(error, ClaimLost):
            self._home.listener.on_note(str(error))
            return None
        if isinstance(error, TogetherOutOfMemory):
            self._close(over, "interrupted", str(error))
            return NotTogether(str(error))
        if isinstance(error, OutOfMemory) and self._home.crowd.lower(over.job.stage):
            self._close(over, "interrupted", str(error))
            return NotTogether(str(error))
        if not isinstance(error, Exception) or isinstance(error, Interrupted):
            self._close(over, "interrupted", "")
            raise error
        if (end := self._home.folder.end_of_all(over.job.stage, error)) is not None:
            self._close(over, "interrupted", str(error))
            raise end from None
        message = (
            str(error) if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
        )
        self._close(over, "failed", message)
        if isinstance(error, torch.AcceleratorError):
            raise RunnerError(
                f"the device is in a state that ends this process: {message}",
                hint="run the same command again to go on; --retry-failed does this run again",
            ) from error
        return StageResult("failed", over.seconds, message, over.job.finished_readers)


class SharedSeconds:
    """Wall time of what is done together: every moment is shared equally by all that are open."""

    def __init__(self) -> None:
        self._taken: dict[str, float] = {}
        self._at = time.perf_counter()

    def begin(self, key: str) -> None:
        """Count from now on."""
        self._pass()
        self._taken[key] = 0.0

    def end(self, key: str) -> float:
        """Return the seconds since its beginning that are its own."""
        self._pass()
        return self._taken.pop(key, 0.0)

    def _pass(self) -> None:
        now = time.perf_counter()
        for key in self._taken:
            self._taken[key] += (now - self._at) / len(self._taken)
        self._at = now

"""What workers on other machines do, as the database shows it, told like the news of one program.

Reads the attempts at the stages of a plan, whoever makes them. Each look reads the new attempts and
those that were at work, however many have ended.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from runner.artifacts.process import Process
from runner.core.errors import RunnerError
from runner.core.stages import Stage, Train
from runner.execute.coordinator import Coordinator
from runner.execute.listener import NullListener
from runner.execute.plan_execution import PlanExecution
from runner.execute.stage_worker import Ended
from runner.store.attempts_seen import AttemptSeen, attempts_since, newest_attempt_id
from runner.store.claim_answers import Claimed
from runner.store.claims import claims_by_process
from runner.store.progress import latest_results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.execute.plan_execution import StageTask

ENDED = ("done", "diverged", "failed")


class DatabaseNews(NullListener):
    """Tells the listener of a plan what the database shows, each start, end and note once.

    Attributes:
        ends: how many stages have ended.
    """

    def __init__(self, execution: PlanExecution) -> None:
        """Begin with what happens from now on."""
        self._execution, self._listener = execution, execution.listener
        self._stages = {stage.key: stage for stage in execution.plan.stages}
        self._seen = newest_attempt_id(execution.database)
        self._open: dict[int, str] = {}  # the stage of each attempt that is at work
        self._epochs: dict[int, int] = {}
        self._told: set[str] = set()
        self.ends = 0
        self._last: dict[Process, list[Claimed]] = {}  # what each process did when last seen
        self._results = self._num_results()

    def look(self) -> None:
        """Tell what has happened since the last look."""
        found = attempts_since(self._execution.database, self._seen, set(self._open))
        self._last |= claims_by_process(self._execution.database)
        for attempt in found:
            self._seen = max(self._seen, attempt.id)
            stage = self._stages.get(attempt.stage_key)
            if stage is not None and stage.key not in self._told:
                self._tell(stage, attempt)

    def left_by(self, process: Process) -> list[str]:
        """Return the keys of the stages that a process did when it died."""
        last = {claim.attempt_id: claim.stage_key for claim in self._last.get(process, ())}
        found = attempts_since(self._execution.database, self._seen, set(last))
        left = {each.id for each in found if each.status in ("running", "lost")}
        return [key for attempt, key in last.items() if attempt in left]

    def _tell(self, stage: Stage, attempt: AttemptSeen) -> None:
        if attempt.status in ENDED:
            if (
                self._open.pop(attempt.id, None) is None
            ):  # it has begun and ended since the last look
                self._listener.on_stage_start(stage)
            self.on_stage_end(stage, attempt.status, attempt.seconds, attempt.error)
        elif attempt.status != "running":
            if self._open.pop(attempt.id, None) is not None:
                self._listener.on_stage_left(stage)
        else:
            if attempt.id not in self._open:
                self._open[attempt.id] = stage.key
                self._listener.on_stage_start(stage)
            self._tell_epochs(stage, attempt)

    def _tell_epochs(self, stage: Stage, attempt: AttemptSeen) -> None:
        if not isinstance(stage, Train) or attempt.epoch <= self._epochs.get(attempt.id, 0):
            return
        from runner.engine.context import Progress

        self._epochs[attempt.id] = attempt.epoch
        epoch = min(attempt.epoch + 1, stage.last_epoch)
        self._listener.on_stage_progress(stage, Progress(0, 0, epoch, stage.last_epoch))

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        """Pass it on."""
        if self._is_new(stage.key):
            self.ends += 1
            self._listener.on_stage_end(stage, status, seconds, message)

    def on_run_end(self, run_key: str, status: str) -> None:
        """Pass it on."""
        if self._is_new(f"end of {run_key}"):
            self._listener.on_run_end(run_key, status)

    def on_note(self, note: str) -> None:
        """Pass it on."""
        if self._is_new(f"note {note}"):
            self._listener.on_note(note)

    def _is_new(self, what: str) -> bool:
        number = len(self._told)
        self._told.add(what)
        return len(self._told) > number

    def settle(self) -> bool:
        """Go through the plan once, when its workers have gone: record what they have not.

        Returns:
            Whether every stage has ended; if not, the rest is to be planned anew.

        Raises:
            RunnerError: when the workers have done nothing, and something is left.
        """
        self.look()
        passes = count()
        once = replace(self._execution, listener=self, is_outdated=lambda: next(passes) > 0)
        if Coordinator(once, _Nobody()).go():
            return True
        if self.ends or self._num_results() > self._results:
            return False
        raise RunnerError(
            "no worker could do what is left", hint="the notes above say why they leave runs"
        )

    def _num_results(self) -> int:
        execution = self._execution
        found = latest_results(execution.database, execution.plan.stages_by_run)
        return sum(number == execution.reruns[key] for key, (_, number) in found.items())


class _Nobody:
    """Does no stage: what is left then is left."""

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        """Do nothing."""

    def release(self, artifacts: Sequence[str]) -> None:
        """Do nothing: nothing is kept."""

    def finish(self) -> None:
        """Do nothing: nothing is written."""

"""Goes through a plan: which stage is next, who does it, and which runs have a result then.

Several processes on one database share the work: each claims the next free stage, waits for what
others are doing, and takes over from the dead. How a stage is done is a worker's business.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from runner.artifacts.checkpoints import remove_checkpoints
from runner.artifacts.partial_values import abandoned_values
from runner.artifacts.states import readers_of_checkpoints, remove_unfinished
from runner.core.errors import Interrupted
from runner.core.stages import Stage, Train
from runner.engine.products import is_there
from runner.execute.nearness import Nearness
from runner.execute.plan_execution import PlanExecution, StageTask
from runner.execute.run_ends import RunEnds
from runner.execute.schedule import Schedule
from runner.execute.stage_worker import Answer, NotTogether, StageResult, StageWorker
from runner.execute.turns import Turns
from runner.planner.cost import predicted
from runner.planner.longest import seconds_to_end
from runner.planner.recorded import record_for
from runner.store.claim_answers import ClaimHeld, EpochsHeld, StageEnded
from runner.store.claims import look_at_stage
from runner.store.news import EndedAttempt, News
from runner.store.overlaps import TrainedSince
from runner.store.progress import (
    artifact_digests,
    attempt_outcome,
    readers_with_results,
)
from runner.store.running import are_others_at_work, held_stages

WAIT_SECONDS = 0.5
PASS_SECONDS = 0.2
"""Time after which others are heard of, and a pass that goes by length begins anew."""
PASS_SHARE = 20
"""A pass is so many times as long as it takes to put the stages in order, at least."""
HEAR_SHARE = 30
"""Others are heard of again after so many times as long as it takes to ask who does what."""
LONGEST_DEAF_SECONDS = 3.0
"""But so soon in any case."""


class Coordinator:
    """One invocation's way through a plan."""

    def __init__(self, execution: PlanExecution, worker: StageWorker) -> None:
        self._execution, self._worker = execution, worker
        self._database, self._listener = execution.database, execution.listener
        self._artifacts = execution.workspace.artifacts(execution.database)
        plan = execution.plan
        self._news = News(self._database)
        keys = {key for chain in plan.stages_by_run.values() for key in chain}
        ended = self._news.ended_before(keys)
        statuses = {key: each.status for key, each in ended.items()}
        self._schedule = Schedule(plan, execution.facts.finished, statuses)
        self._ended_since = [ended[key] for key in ended if key in self._schedule.pending]
        for key, each in ended.items():
            if key not in self._schedule.pending:
                self._schedule.learn(each.outcomes)
        self._runs = RunEnds(execution, self._schedule)
        self._near = Nearness(
            self._artifacts, self._digest_of, lambda: are_others_at_work(self._database)
        )
        self._waited_for = ""
        self._moved = False  # whether a pass through the plan has ended anything
        self._longest = seconds_to_end(plan, execution.facts) if execution.longest_first else {}
        self._turns = Turns(self._schedule, self._longest)
        self._held: set[str] = set()  # what others did when they were last heard of
        self._hear_at = 0.0
        self._others = TrainedSince(self._database, set(self._schedule.pending))
        self._to_plan_anew: set[str] = set()  # trainings whose epochs other processes have trained

    def go(self) -> bool:
        """Do every stage and record every result.

        Returns:
            True when all stages have ended, here or in other processes; False when the rest is to
            be planned anew, since other processes have trained epochs of it, or more is wanted.

        Raises:
            Interrupted: when asked to stop; what is finished is recorded.
            StoreError: when the disk is full, or the database or `.runner/` was removed; what was
                recorded before is safe.
        """
        remove_unfinished(self._artifacts)
        self._tidy()
        self._close_ended([each for each in self._ended_since if each.status != "failed"])
        self._runs.begin()
        pending = self._schedule.pending
        while pending:
            if self._execution.should_stop():
                raise Interrupted("stopped between two stages; nothing is redone")
            if self._execution.is_outdated():
                break
            self._moved = False
            self._pass()
            if not self._moved:  # others do what some of a cohort wait for
                self._pass(without_waiting=True)
            if not self._moved and self._to_plan_anew.intersection(pending):
                self._near.let_arrive()
                break
            if not self._moved and pending:
                time.sleep(WAIT_SECONDS)
                self._hear_at = 0.0
        self._worker.finish()
        self._tidy()
        return not pending

    def _tidy(self) -> None:
        """Remove the checkpoints of trainings that have ended, or whose runs all have results.

        A process left them that was stopped: later the rest of a training may have been done under
        another key. Values of analyses go that were stopped long ago and are not in the plan.
        """
        left = readers_of_checkpoints(self._artifacts)
        if not left:
            return
        held = held_stages(self._database, alive=True)
        named = {name for names in left.values() for name in names}
        finished = readers_with_results(self._database, named)
        ended = self._schedule.ended_well().intersection(left)
        useless = {key for key, names in left.items() if names and finished.issuperset(names)}
        planned = {stage.key for stage in self._execution.plan.stages}
        abandoned = abandoned_values(self._artifacts) - planned
        remove_checkpoints(self._artifacts, (useless | ended | abandoned) - held)

    def _pass(self, without_waiting: bool = False) -> None:
        """Go through what is pending once.

        Args:
            without_waiting: do those of a cohort whose turn it is without the others.
        """
        at_work = len(self._held_now())
        began = time.monotonic()
        groups = self._turns.next(at_work)
        lasts = max(PASS_SECONDS, PASS_SHARE * (time.monotonic() - began))
        for group in groups:
            held = self._held_now()
            stages = [each for each in group if each.key in self._schedule.pending]
            ready = [each for each in stages if self._schedule.standing(each) != "waiting"]
            if held.issuperset(each.key for each in ready) or self._near.leaves(ready):
                continue
            if len(ready) == len(stages) or without_waiting:
                self._try(ready)
            if self._longest and self._moved and time.monotonic() > began + lasts:
                return  # what has become ready meanwhile may be longer

    def _held_now(self) -> set[str]:
        """Return what others do now; learn what they have ended, unless that was just heard."""
        if self._longest and time.monotonic() > self._hear_at:
            self._runs.after_others(self._close_ended(self._news.ended()))
            began = time.monotonic()
            self._held = self._news.held()
            now = time.monotonic()
            pause = min(HEAR_SHARE * (now - began), LONGEST_DEAF_SECONDS)
            self._hear_at = now + max(PASS_SECONDS, pause)
        return self._held

    def _close_ended(self, ended: Iterable[EndedAttempt]) -> list[str]:
        """Close what others have ended and is not to be done again; return which stages."""
        closed: list[str] = []
        for each in ended:
            stage = self._schedule.pending.get(each.stage_key)
            if stage is not None and stage.key not in self._execution.facts.done:
                self._schedule.learn(each.outcomes)
                self._close(stage, each.status, 0.0, each.error)
                closed.append(stage.key)
        return closed

    def _try(self, stages: Sequence[Stage]) -> None:
        """Have a stage done, or several together, as far as they are free."""
        tasks = [task for stage in stages if (task := self._task_to_do(stage)) is not None]
        apart, answers = list[str](), list[Answer]()

        def ended(stage: Stage, answer: Answer) -> None:
            if isinstance(answer, NotTogether):
                apart.append(stage.key)
            answers.append(answer)
            self._learn(stage, answer)

        if tasks:
            self._worker.do(tasks, ended)
        if any(isinstance(answer, StageResult) for answer in answers):
            self._turns.was_first()
        elif any(isinstance(answer, ClaimHeld) for answer in answers):
            self._turns.was_late()
        if apart:
            self._schedule.split(apart)
            self._moved = True
            many, half = len(apart), (len(apart) + 1) // 2
            how = f"{half} at a time" if half > 1 else "one by one"
            if many > 1:
                self._listener.on_note(f"{many} trainings do not fit together: going on {how}")

    def _task_to_do(self, stage: Stage) -> StageTask | None:
        """Return the task of a stage whose turn it is, None where it ends here or is not free."""
        if self._schedule.standing(stage) == "blocked" or self._is_needless(stage):
            self._end(stage, "blocked", 0.0, "")
            return None
        again = stage.key in self._execution.facts.done
        if again and all(map(self._is_there, stage.produces)):
            self._end(stage, "done", 0.0, "")
            return None
        task = self._task(stage, again, self._execution.failures.get(stage.key, 0))
        answer = look_at_stage(
            self._database, stage.key, again, task.failures, in_the_way=task.in_the_way
        )
        if answer is None:
            if self._is_trained_elsewhere(stage) or self._lacks(stage):
                return None
            return task
        self._learn(stage, answer)
        return None

    def _is_trained_elsewhere(self, stage: Stage) -> bool:
        """Return whether a training is to be planned anew, from what others have trained of it."""
        if isinstance(stage, Train) and self._execution.shares_epochs and stage.epochs:
            self._others.look()
            if self._others.has_epochs_of(stage):
                self._to_plan_anew.add(stage.key)
        return stage.key in self._to_plan_anew

    def _lacks(self, stage: Stage) -> bool:
        """Return whether weights are nowhere that it looks at: a new plan makes them again."""
        lacks = self._near.lacks(stage)
        if lacks:
            self._to_plan_anew.add(stage.key)
        return lacks is not False

    def _learn(self, stage: Stage, answer: Answer) -> None:
        """Note what became of a stage."""
        if answer is None or isinstance(answer, NotTogether):
            self._listener.on_stage_left(stage)
        if isinstance(answer, ClaimHeld | EpochsHeld):
            if answer.owner is not None and not self._execution.is_ours(answer.owner):
                self._tell_waiting(str(answer.owner))
        elif isinstance(answer, StageEnded):
            self._learn_outcomes(stage.key)
            self._end(stage, answer.status, 0.0, answer.error)
        elif isinstance(answer, StageResult):
            self._schedule.learn(answer.outcomes)
            self._end(stage, answer.status, answer.seconds, answer.message)

    def _is_needless(self, stage: Stage) -> bool:
        """Return whether all readers of a branch have what they need without it."""
        if not (isinstance(stage, Train) and self._schedule.has_no_readers_left(stage)):
            return False
        return all(map(self._is_there, stage.weights))

    def _is_there(self, name: str) -> bool:
        return is_there(self._artifacts, name, self._digest_of)

    def _digest_of(self, name: str) -> str | None:
        return artifact_digests(self._database, [name]).get(name)

    def _task(self, stage: Stage, again: bool, failures: int) -> StageTask:
        facts, record = self._execution.facts, None
        if isinstance(stage, Train) and stage.recorded is not None:
            record = record_for(stage, facts.records)
        return StageTask(
            stage=stage,
            again=again,
            failures=failures,
            predicted=predicted(stage, facts),
            outcomes=self._schedule.outcomes_for(stage),
            record=record,
            shares_epochs=self._execution.shares_epochs,
        )

    def _learn_outcomes(self, stage_key: str) -> None:
        """Learn what became of the runs that read a training that has ended."""
        outcome = attempt_outcome(self._database, stage_key) or {}
        self._schedule.learn(outcome.get("readers", {}))

    def _tell_waiting(self, owner: str) -> None:
        if owner != self._waited_for:
            self._listener.on_note(f"{owner} does a stage of this plan; sharing the work with it")
            self._waited_for = owner

    def _end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        self._close(stage, status, seconds, message)
        self._runs.after(stage.key)

    def _close(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        self._moved = True
        self._schedule.end(stage.key, status)
        self._worker.release(stage.consumes)
        if status != "blocked":
            self._listener.on_stage_end(stage, status, seconds, message)

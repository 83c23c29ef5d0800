"""Which stages of a plan are ready, which can never be done, and which runs are over.

Pure: looks at the plan and at what is known of ended stages. Knows no database and no disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from runner.core.plan import Plan
from runner.core.stages import AfterTraining, Stage, Train

Standing = Literal["waiting", "ready", "blocked"]
Outcomes = Mapping[str, Mapping[str, Any]]
"""What became of the runs that read a training, by what the training calls them."""


class Schedule:
    """Where every stage and every run of a plan stands.

    Attributes:
        pending: stages that have not ended, by key, parents first.
        outcomes: what became of readers in the trainings that have ended.
        splits: how often what is done together has changed.
    """

    def __init__(self, plan: Plan, finished: Collection[str], ended: Mapping[str, str]) -> None:
        """Begin with what is known.

        Args:
            plan: what is to be done.
            finished: runs that have a result.
            ended: status of the stages that ended before, by key; what the plan does again counts
                as pending all the same.
        """
        self.pending = {stage.key: stage for stage in plan.stages}
        self.outcomes: dict[str, Mapping[str, Any]] = {}
        self.splits = 0
        self._chains = plan.stages_by_run
        self._cohorts = {key: each.stages for each in plan.cohorts for key in each.stages}
        self._status = {key: status for key, status in ended.items() if key not in self.pending}
        self._open: dict[str, dict[str, None]] = {}
        for run, chain in plan.stages_by_run.items():
            if run not in finished:
                for key in chain:
                    self._open.setdefault(key, {})[run] = None

    def together(self) -> list[list[Stage]]:
        """Return the pending stages, each by itself or with those that it is done together with."""
        found: dict[str, list[Stage]] = {}
        for key, stage in self.pending.items():
            first, *_ = self._cohorts.get(key, (key,))
            found.setdefault(first, []).append(stage)
        return list(found.values())

    def split(self, keys: Sequence[str]) -> None:
        """Let stages that could not be done together be done in two halves from now on."""
        for others in [self._cohorts.get(key, ()) for key in keys]:
            self._cohorts |= {key: (key,) for key in others}
        middle = (len(keys) + 1) // 2
        self.splits += 1
        for half in (tuple(keys[:middle]), tuple(keys[middle:])):
            self._cohorts |= dict.fromkeys(half, half)

    def ended_well(self) -> set[str]:
        """Return the keys of the stages that are done or diverged."""
        return {key for key, status in self._status.items() if status in ("done", "diverged")}

    def learn(self, outcomes: Outcomes) -> None:
        """Learn what became of readers; what is known of one already stays."""
        for name, outcome in outcomes.items():
            self.outcomes.setdefault(name, outcome)

    def end(self, stage_key: str, status: str) -> None:
        """Note that a stage has ended, was found done, or can never be done (``blocked``)."""
        del self.pending[stage_key]
        self._status[stage_key] = status

    def standing(self, stage: Stage) -> Standing:
        """Return whether a pending stage waits for another one, can be done, or never can."""
        if any(need in self.pending for need in stage.needs):
            return "waiting"
        return "blocked" if self._is_blocked(stage) else "ready"

    def _is_blocked(self, stage: Stage) -> bool:
        """Return whether a stage before it has ended so that it cannot be done.

        An evaluation only asks what became of its own run in the trainings: others may have failed
        after it was satisfied.
        """
        wrong = {need for need in stage.needs if self._status.get(need, "done") != "done"}
        if not isinstance(stage, AfterTraining) or stage.epoch_number is not None:
            return bool(wrong)
        own = self.outcomes.get(stage.solo_key, {"status": "lost"})
        return own["status"] != "done" or bool(wrong.difference(stage.trainings))

    def has_no_readers_left(self, stage: Train) -> bool:
        """Return whether a training is a branch whose readers had all ended before it began."""
        return bool(stage.start) and all(name in self.outcomes for name in stage.readers)

    def outcomes_for(self, stage: Stage) -> Outcomes:
        """Return what a stage must be told of the trainings before it."""
        key = stage.solo_key if isinstance(stage, AfterTraining) else ""
        return {key: self.outcomes[key]} if key in self.outcomes else {}

    def runs_over(self, stage_keys: Iterable[str] | None = None) -> list[str]:
        """Return the open runs, of all stages or of some, that may have a result now.

        All stages of such a run have ended, or one has so that no other can change the result.
        """
        keys = self._open if stage_keys is None else stage_keys
        runs = dict.fromkeys(run for key in keys for run in self._open.get(key, ()))
        return [run for run in runs if self._is_over(run)]

    def _is_over(self, run: str) -> bool:
        chain = self._chains[run]
        if not any(key in self.pending for key in chain):
            return True
        return any(self._status.get(key) in ("failed", "diverged") for key in chain)

    def close_run(self, run: str) -> None:
        """Note that a run has its result."""
        for key in self._chains[run]:
            del self._open[key][run]

"""What workers of one plan tell, as one program tells it: each start, end and note once.

A worker also tells that stages have ended which others did, as soon as it finds them in the
database. Who did a stage tells it best, so others are believed only when nobody here does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from runner.core.plan import Plan
from runner.core.stages import Stage
from runner.execute.listener import Listener, NullListener


class PoolNews:
    """Tells the listener of a plan what several workers tell, some of whom may do one before it."""

    def __init__(self) -> None:
        """Begin without a plan; :meth:`begin` comes first."""
        self._listener: Listener = NullListener()
        self._stages: dict[str, Stage] = {}  # of the plan, and of those before while any is at work
        self._left: set[str] = set()
        self._doing: dict[str, int] = {}  # how many workers do a stage now: one, but for moments
        self._heard: dict[str, tuple[Any, ...]] = {}  # ends that others tell of what is done here
        self._told: set[str] = set()  # stages, runs and notes

    @property
    def left_over(self) -> Set[str]:
        """The keys of the stages of the plan that have not ended, as far as anyone has told."""
        return self._left

    def begin(self, plan: Plan, listener: Listener, at_work: Mapping[str, Stage] | None) -> None:
        """Tell another listener from now on.

        Args:
            plan: that is carried out from now on.
            listener: is told of it.
            at_work: stages that workers of a plan before do, by key; it is told that they begin.
                None where there are no such workers.
        """
        self._listener = listener
        self._left = {stage.key for stage in plan.stages}
        if at_work is None:
            self._stages.clear()
        self._stages |= {stage.key: stage for stage in plan.stages}
        # what has ended before, and is wanted once more, ends once more
        self._told -= {f"end of {key}" for key in self._left}
        self._told -= {f"on_run_end {run}" for run in plan.stages_by_run}
        for stage in (at_work or {}).values():
            listener.on_stage_start(stage)

    def told(
        self, at_work: dict[str, Stage], name: str, stage_key: str, values: tuple[Any, ...]
    ) -> None:
        """Take what a worker tells.

        Args:
            at_work: the stages that this worker does, by key; kept up to date here.
            name: method of a listener.
            stage_key: of its first argument, "" without one.
            values: its other arguments.
        """
        if not stage_key:
            if self._is_new(f"{name} {values[0]}"):
                getattr(self._listener, name)(*values)
            return
        stage = self._stages[stage_key]
        if name == "on_stage_end":
            self._ended(at_work, stage, values)
            return
        if name == "on_stage_start":
            at_work[stage_key] = stage
            self._doing[stage_key] = self._doing.get(stage_key, 0) + 1
        if name == "on_stage_left":
            self.left(at_work, stage_key)
            return
        getattr(self._listener, name)(stage, *values)

    def left(self, at_work: dict[str, Stage], only: str = "") -> None:
        """Note that a worker does some stages no longer, or all, and they have not ended here."""
        for key in [only] if only else list(at_work):
            stage = at_work.pop(key, None)
            if stage is None:
                continue
            self._doing[key] -= 1
            self._listener.on_stage_left(stage)
            if key in self._heard:
                self._ended({}, stage, self._heard.pop(key))

    def _ended(self, at_work: dict[str, Stage], stage: Stage, values: tuple[Any, ...]) -> None:
        is_its = at_work.pop(stage.key, None) is not None
        if is_its:
            self._doing[stage.key] -= 1
            self._heard.pop(stage.key, None)
        elif self._doing.get(stage.key, 0):
            self._heard[stage.key] = values
            return
        if (is_its or stage.key in self._left) and self._is_new(f"end of {stage.key}"):
            self._left.discard(stage.key)
            self._listener.on_stage_end(stage, *values)

    def _is_new(self, what: str) -> bool:
        count = len(self._told)
        self._told.add(what)
        return len(self._told) > count

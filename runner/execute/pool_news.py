"""What workers of one plan tell, as one program tells it: each start, end and note once.

A worker also tells that stages have ended which others did, as soon as it finds them in the
database. Who did a stage tells it best, so others are believed only when nobody here does it.
"""

from __future__ import annotations

from typing import Any

from runner.core.plan import Plan
from runner.core.stages import Stage
from runner.execute.listener import Listener


class PoolNews:
    """Tells a listener what several workers tell."""

    def __init__(self, plan: Plan, listener: Listener) -> None:
        self._stages = {stage.key: stage for stage in plan.stages}
        self._listener = listener
        self._doing: dict[str, int] = {}  # how many workers do a stage now: one, but for moments
        self._heard: dict[str, tuple[Any, ...]] = {}  # ends that others tell of what is done here
        self._told: set[str] = set()  # stages, runs and notes

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
        if at_work.pop(stage.key, None) is not None:
            self._doing[stage.key] -= 1
        elif self._doing.get(stage.key, 0):
            self._heard[stage.key] = values
            return
        if self._is_new(f"end of {stage.key}"):
            self._listener.on_stage_end(stage, *values)

    def _is_new(self, what: str) -> bool:
        count = len(self._told)
        self._told.add(what)
        return len(self._told) > count

"""Estimates the remaining time from seconds measured in this run or recorded on this device.

Unknown costs are said to be unknown; early stopping can only make it shorter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from runner.bind.plan_runs import PlannedRuns
from runner.cli.formatting import pluralize
from runner.core.stages import Stage, Train
from runner.core.text import show_seconds

ENOUGH_EPOCHS = 0.2
"""Share of an epoch after which the current training's own speed is trusted."""


@dataclass
class _Current:
    """A training that is at work in this process.

    Attributes:
        stage: it.
        first: the epochs that it had when it first told of any, -1 before.
        standing: the epochs that it has, those of earlier processes included.
        began: when it first told of any, by a monotonic clock.
    """

    stage: Train
    first: float = -1.0
    standing: float = 0.0
    began: float = 0.0

    @property
    def trained(self) -> float:
        """The epochs that were trained since it first told of any."""
        return self.standing - self.first if self.first >= 0 else 0.0


class Estimate:
    """Follows the trainings of a plan: one at a time, several together, or by several workers."""

    def __init__(self, wanted: PlannedRuns) -> None:
        trainings = (stage for stage in wanted.plan.stages if isinstance(stage, Train))
        self._left = {stage.key: stage for stage in trainings if stage.epochs}
        self._recorded = dict(wanted.facts.seconds)
        self._measured: dict[str, tuple[float, float]] = {}
        self._current: dict[str, _Current] = {}
        self._began = 0.0
        self._workers = wanted.bound.request.num_workers

    @property
    def together(self) -> int:
        """How many trainings are at work."""
        return len(self._current)

    @property
    def at_work(self) -> str:
        """The same in words, "" where it is one."""
        number = self.together
        how = "together" if self._workers == 1 else "at once"
        return f"{number} trainings {how}" if number > 1 else ""

    def began(self, stage: Stage) -> None:
        """Note that a stage starts in this process."""
        if isinstance(stage, Train) and stage.epochs:
            self._current[stage.key] = _Current(stage)
            self._workers = max(self._workers, len(self._current) if self._workers > 1 else 1)
        self._began = time.monotonic()

    def moved(self, stage: Stage, epochs_done: float) -> None:
        """Note the epochs of a training, those of earlier processes included."""
        current = self._current.get(stage.key)
        if current is None:
            return
        if current.first < 0:
            if all(each.first < 0 for each in self._current.values()):
                self._began = time.monotonic()
            current.first, current.began = epochs_done, time.monotonic()
        current.standing = epochs_done
        if self._workers > 1:
            return
        for other in self._current.values():  # they go on together: none is behind for long
            if other.first >= 0:
                other.standing = max(other.standing, min(epochs_done, other.stage.last_epoch))

    def left_alone(self, stage: Stage) -> None:
        """Note that a stage is no longer done here, but has not ended."""
        self._current.pop(stage.key, None)

    def ended(self, stage: Stage, seconds: float) -> None:
        """Note the end of a stage after ``seconds`` of its own; 0 when another process did it."""
        self._left.pop(stage.key, None)
        current = self._current.pop(stage.key, None)
        if stage.epochs and seconds > 0:
            if current is not None and current.first >= 0 and self._workers > 1:
                # one that had begun before this plan was not watched from its beginning
                seconds = min(seconds, time.monotonic() - current.began)
            before, epochs = self._measured.get(stage.cost_key, (0.0, 0.0))
            trained = 0.0 if current is None else current.standing - max(current.first, 0.0)
            trained = trained if trained > ENOUGH_EPOCHS else float(stage.epochs)
            self._measured[stage.cost_key] = (before + seconds, epochs + trained)

    def left(self) -> str:
        """Return the remaining time in words, "" when nothing is left or was ever measured."""
        total, unknown, longest = 0.0, 0, 0.0
        for stage in self._left.values():
            seconds = self._seconds_an_epoch(stage)
            current = self._current.get(stage.key)
            epochs = float(stage.epochs)
            if current is not None:
                epochs = stage.last_epoch - current.standing
            unknown += seconds is None
            takes = 0.0 if seconds is None else seconds * max(epochs, 0.0)
            total, longest = total + takes, max(longest, takes)
        total = max(longest, total / self._workers)
        if unknown == len(self._left):
            return ""
        more = f" and {pluralize(unknown, 'training')} never measured" if unknown else ""
        return f"about {show_seconds(total)} left{more}"

    def _seconds_an_epoch(self, stage: Stage) -> float | None:
        if stage.cost_key in self._measured:
            seconds, epochs = self._measured[stage.cost_key]
            return seconds / epochs
        told = [
            each.trained
            for each in self._current.values()
            if each.stage.cost_key == stage.cost_key and each.first >= 0
        ]
        if self._workers > 1:
            return self._seconds_of_workers(stage) or self._recorded.get(stage.cost_key)
        trained = sum(told) / len(told) if told else 0.0
        if trained > ENOUGH_EPOCHS:  # of each of those that are at work, as they go on together
            return (time.monotonic() - self._began) / trained / len(self._current)
        return self._recorded.get(stage.cost_key)

    def _seconds_of_workers(self, stage: Stage) -> float | None:
        """Return the seconds of an epoch of those at work that cost the same, None of none yet."""
        now = time.monotonic()
        speeds = [
            (now - each.began) / each.trained
            for each in self._current.values()
            if each.stage.cost_key == stage.cost_key and each.trained > ENOUGH_EPOCHS
        ]
        return sum(speeds) / len(speeds) if speeds else None

"""Estimates the remaining time from seconds measured in this run or recorded on this device.

Unknown costs are said to be unknown; early stopping can only make it shorter.
"""

from __future__ import annotations

import time

from runner.bind.plan_runs import PlannedRuns
from runner.cli.formatting import pluralize
from runner.core.stages import Stage, Train
from runner.core.text import show_seconds

ENOUGH_EPOCHS = 0.2
"""Share of an epoch after which the current training's own speed is trusted."""


class Estimate:
    """Follows the trainings of a plan."""

    def __init__(self, wanted: PlannedRuns) -> None:
        trainings = (stage for stage in wanted.plan.stages if isinstance(stage, Train))
        self._left = {stage.key: stage for stage in trainings if stage.epochs}
        self._recorded = dict(wanted.facts.seconds)
        self._measured: dict[str, tuple[float, float]] = {}
        self._current: Train | None = None
        self._began = self._first = self._standing = 0.0

    def began(self, stage: Stage) -> None:
        """Note that a stage starts in this process."""
        self._current = stage if isinstance(stage, Train) and stage.epochs else None
        self._began, self._first, self._standing = time.monotonic(), -1.0, 0.0

    def moved(self, epochs_done: float) -> None:
        """Note the epochs of the current training, those of earlier processes included."""
        if self._first < 0:
            self._began, self._first = time.monotonic(), epochs_done
        self._standing = epochs_done

    def ended(self, stage: Stage, seconds: float) -> None:
        """Note the end of a stage after ``seconds``; 0 when another process did it."""
        self._left.pop(stage.key, None)
        if stage.epochs and seconds > 0:
            before, epochs = self._measured.get(stage.cost_key, (0.0, 0.0))
            trained = self._standing - max(self._first, 0.0)
            trained = trained if trained > ENOUGH_EPOCHS else float(stage.epochs)
            self._measured[stage.cost_key] = (before + seconds, epochs + trained)
        self._current = None

    def left(self) -> str:
        """Return the remaining time in words, "" when nothing is left or was ever measured."""
        total, unknown = 0.0, 0
        for stage in self._left.values():
            seconds = self._seconds_an_epoch(stage)
            is_current = self._current is not None and stage.key == self._current.key
            epochs = stage.last_epoch - self._standing if is_current else float(stage.epochs)
            unknown += seconds is None
            total += 0.0 if seconds is None else seconds * max(epochs, 0.0)
        if unknown == len(self._left):
            return ""
        more = f" and {pluralize(unknown, 'training')} never measured" if unknown else ""
        return f"about {show_seconds(total)} left{more}"

    def _seconds_an_epoch(self, stage: Stage) -> float | None:
        if stage.cost_key in self._measured:
            seconds, epochs = self._measured[stage.cost_key]
            return seconds / epochs
        current = self._current
        epochs = self._standing - self._first
        if current is not None and current.cost_key == stage.cost_key and epochs > ENOUGH_EPOCHS:
            return (time.monotonic() - self._began) / epochs
        return self._recorded.get(stage.cost_key)

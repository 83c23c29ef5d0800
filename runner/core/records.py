"""What trainings and evaluations leave behind: metrics, epochs, how things ended.

Owns their shapes only. Ranges of epochs of attempts, as JSON, say who trained what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

RunStatus = Literal["done", "diverged", "failed"]
AttemptStatus = Literal["running", "done", "diverged", "failed", "interrupted", "lost", "reference"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of one epoch: ``split`` is train, train_eval, val or test."""

    epoch: int
    split: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch of training leaves behind.

    Attributes:
        epoch: from 1.
        metrics: the epoch's metrics.
        step_losses: training loss of each step, in order.
        learning_rate: the rate in force.
        seconds: wall time, evaluation included.
    """

    epoch: int
    metrics: tuple[Metric, ...]
    step_losses: tuple[float, ...]
    learning_rate: float
    seconds: float


def clipped(reads: Sequence[Sequence[int]], last: int) -> list[list[int]]:
    """Return the ranges of epochs, as [attempt, first, last], up to ``last``."""
    return [[attempt, first, min(end, last)] for attempt, first, end in reads if first <= last]


def attempt_at(reads: Sequence[Sequence[int]], epoch: int) -> int | None:
    """Return the attempt that trained an epoch, None where no range holds it."""
    return next((each[0] for each in reads if each[1] <= epoch <= each[2]), None)

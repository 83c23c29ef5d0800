"""What trainings and evaluations leave behind: metrics, epochs, how things ended.

Owns their shapes only. Ranges of epochs of attempts say who trained what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

RunStatus = Literal["done", "diverged", "failed"]
DimensionValue = str | int | float
"""A place along a dimension of an analysis: a transform, a severity, a class, a layer."""

AttemptStatus = Literal["running", "done", "diverged", "failed", "interrupted", "lost", "reference"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of one epoch: ``split`` is train, train_eval, val or test."""

    epoch: int
    split: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class AnalysisValue:
    """One number of an analysis.

    Attributes:
        name: what it is, as `accuracy`.
        value: the number, finite.
        dims: where it stands, by dimension, as {"transform": "GaussianBlur", "severity": 2}.
    """

    name: str
    value: float
    dims: Mapping[str, DimensionValue]


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


class EpochRange(NamedTuple):
    """Epochs that an attempt has trained, the first and the last included; a list in JSON."""

    attempt: int
    first: int
    last: int


def as_lists(ranges: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return ranges of epochs as JSON values."""
    return [list(each) for each in ranges]


def clipped(ranges: Iterable[Sequence[int]], last: int) -> list[EpochRange]:
    """Return the ranges of epochs up to ``last``."""
    return [
        EpochRange(attempt, first, min(end, last))
        for attempt, first, end in ranges
        if first <= last
    ]


def attempt_at(ranges: Iterable[Sequence[int]], epoch: int) -> int | None:
    """Return the attempt that trained an epoch, None where no range holds it."""
    return next((attempt for attempt, first, last in ranges if first <= epoch <= last), None)


@dataclass(frozen=True, slots=True)
class Produced:
    """An artifact that a stage has written: its name, digest of content, and size in bytes."""

    name: str
    digest: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class ActualCost:
    """What a plan expected of a stage, and what it took.

    Attributes:
        status: of the last attempt at it.
        predicted_epochs: None where nothing was predicted.
        predicted_seconds: None where nothing alike had been measured.
        epochs: that were trained.
        seconds: wall time of all attempts.
    """

    status: AttemptStatus | Literal[""]
    predicted_epochs: int | None
    predicted_seconds: float | None
    epochs: int
    seconds: float

"""Learning-rate schedules. To add one: a class, and its name in the union at the foot.

A schedule is a pure function from epoch to learning rate. ``phases`` splits the epochs into parts
of one rate or one rule; equal phases of two runs are equal work.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from runner.components.component import MAX_NUMBER, Component
from runner.components.measures import TrainingMonitor, mode_of

History = Sequence[Mapping[str, float]]
"""Metrics by full name of each epoch so far, the first epoch first."""

Phase = tuple[int, dict[str, Any]]
"""First epoch of a phase (from 1), and the values that its key hashes."""


MAX_EPOCHS = 1_000_000
MAX_PHASES = 10_000
"""Phases of one training; each is planned and kept by itself."""


class ScheduleSettings(Component):
    """With `warmup: N`, epoch e of the first N has e / (N + 1) of the schedule's rate.

    The schedule counts the epochs of the warm-up too, as in torch's ChainedScheduler with LinearLR.
    """

    warmup: int = Field(
        0,
        ge=0,
        le=MAX_EPOCHS,
        description="epochs in which the rate grows linearly to that of the schedule",
        json_schema_extra={"neutral": 0},
    )

    def warmed(self, lr: float, epoch: int) -> float:
        """Return the rate ``lr`` reduced by the warm-up in ``epoch`` (from 1)."""
        return lr * epoch / (self.warmup + 1) if epoch <= self.warmup else lr

    def warming(self, epochs: int) -> range:
        """Return the epochs at which the warm-up changes the rate."""
        return range(1, min(self.warmup + 1, epochs) + 1)

    def num_phases(self, epochs: int) -> int:
        """Return an upper bound of the number of phases, without building them."""
        return len(self.warming(epochs))

    def rule(self, **settings: Any) -> Phase:
        """Return the single phase of a schedule that is one rule."""
        warmup = {"warmup": self.warmup} if self.warmup else {}
        return 1, {"semantics": self.semantics, **settings, **warmup}


class Constant(ScheduleSettings):
    """The same learning rate in every epoch."""

    name: Literal["constant"]

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1)."""
        return self.warmed(base_lr, epoch)

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the phases of ``epochs`` epochs: one, and one per epoch of warm-up."""
        return [(first, {"lr": self.warmed(base_lr, first)}) for first in self.warming(epochs)]


class Step(ScheduleSettings):
    """The learning rate is multiplied by ``gamma`` every ``step_size`` epochs."""

    name: Literal["step"]
    step_size: int = Field(10, ge=1, le=MAX_EPOCHS, description="epochs between two reductions")
    gamma: float = Field(0.1, gt=0, le=1, description="factor of a reduction")

    def num_phases(self, epochs: int) -> int:
        """Return an upper bound of the number of phases."""
        return super().num_phases(epochs) + (epochs - 1) // self.step_size

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1)."""
        return self.warmed(base_lr * self.gamma ** ((epoch - 1) // self.step_size), epoch)

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the phases of ``epochs`` epochs: one per learning rate."""
        firsts = range(1, epochs + 1, self.step_size)
        if self.warmup:
            return _distinct(self, base_lr, epochs, firsts)
        # not merged where gamma is 1: that is how the keys of earlier runs are
        return [(first, {"lr": self.lr_at(base_lr, first, epochs, ())}) for first in firsts]


class MultiStep(ScheduleSettings):
    """The learning rate is multiplied by ``gamma`` after each of the epochs ``milestones``.

    As torch's MultiStepLR: with ``milestones: [30]`` epoch 31 is the first with another rate.
    """

    name: Literal["multistep"]
    milestones: tuple[Annotated[int, Field(ge=1, le=MAX_EPOCHS)], ...] = Field(
        min_length=1,
        max_length=MAX_PHASES,
        description="epochs after which the rate is reduced, increasing",
    )
    gamma: float = Field(0.1, gt=0, le=1, description="factor of a reduction")

    @field_validator("milestones", mode="after")
    @classmethod
    def _increasing(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if list(milestones) != sorted(set(milestones)):
            raise ValueError("the epochs must increase")
        return milestones

    def num_phases(self, epochs: int) -> int:
        """Return an upper bound of the number of phases."""
        return super().num_phases(epochs) + len(self.milestones)

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1)."""
        reductions = bisect_right(self.milestones, epoch - 1)
        return self.warmed(base_lr * self.gamma**reductions, epoch)

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the phases of ``epochs`` epochs: one per learning rate."""
        return _distinct(self, base_lr, epochs, [1, *(each + 1 for each in self.milestones)])


def _distinct(
    schedule: Step | MultiStep, base_lr: float, epochs: int, firsts: Iterable[int]
) -> list[Phase]:
    """Return the phases of a schedule whose rate changes only at ``firsts`` and in the warm-up.

    Adjacent phases of equal rate are joined.
    """
    phases: list[Phase] = []
    for first in sorted({*firsts, *schedule.warming(epochs)}):
        values = {"lr": schedule.lr_at(base_lr, first, epochs, ())}
        if first <= epochs and (not phases or phases[-1][1] != values):
            phases.append((first, values))
    return phases


class Cosine(ScheduleSettings):
    """Cosine annealing without restarts, from the base rate to ``min_lr`` over all epochs."""

    name: Literal["cosine"]
    min_lr: float = Field(
        0.0, ge=0, le=MAX_NUMBER, description="learning rate that the curve ends at"
    )

    def num_phases(self, epochs: int) -> int:
        """Return 1: the one rule."""
        return 1

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1); ``epochs`` is the horizon."""
        turn = math.pi * (epoch - 1) / epochs
        lr = self.min_lr + (base_lr - self.min_lr) * (1 + math.cos(turn)) / 2
        return self.warmed(lr, epoch)

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the one phase; its rule holds the horizon."""
        return [self.rule(rule="cosine", lr=base_lr, min_lr=self.min_lr, epochs=epochs)]


class Plateau(ScheduleSettings):
    """Multiply the rate by ``factor`` when ``monitor`` has not improved for ``patience`` epochs."""

    name: Literal["plateau"]
    monitor: TrainingMonitor = Field("val_loss", description="metric that is watched")
    factor: float = Field(0.1, gt=0, lt=1, description="factor of a reduction")
    patience: int = Field(
        10, ge=0, le=MAX_EPOCHS, description="epochs without improvement that are tolerated"
    )
    threshold: float = Field(
        1e-4, ge=0, le=MAX_NUMBER, description="smallest change that is an improvement"
    )
    min_lr: float = Field(
        0.0, ge=0, le=MAX_NUMBER, description="the rate is not reduced below this"
    )

    def num_phases(self, epochs: int) -> int:
        """Return 1: the one rule."""
        return 1

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1), given all epochs before it."""
        lr, best, waited = base_lr, None, 0
        sign = 1.0 if mode_of(self.monitor) == "min" else -1.0
        for metrics in history[: epoch - 1]:
            value = sign * metrics[self.monitor]
            if best is None or value < best - self.threshold:
                best, waited = value, 0
                continue
            waited += 1
            if waited > self.patience:
                lr, waited = max(lr * self.factor, self.min_lr), 0
        return self.warmed(lr, epoch)

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the one phase; its rates are unknown beforehand, so its rule is hashed."""
        return [
            self.rule(
                rule="plateau",
                lr=base_lr,
                monitor=self.monitor,
                factor=self.factor,
                patience=self.patience,
                threshold=self.threshold,
                min_lr=self.min_lr,
            )
        ]


Schedule = Annotated[Constant | Step | MultiStep | Cosine | Plateau, Field(discriminator="name")]

"""Learning-rate schedules. To add one: a class, and its name in the union at the foot.

A schedule is a pure function from epoch to learning rate. ``phases`` says from which epochs on
the rate is one value, or follows one rule; equal phases of two runs are equal work.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.components.component import Component

History = Sequence[Mapping[str, float]]
"""Metrics by full name of each epoch so far, the first epoch first."""

Phase = tuple[int, dict[str, Any]]
"""First epoch of a phase (from 1), and the values that its key hashes."""


class Constant(Component):
    """The same learning rate in every epoch."""

    name: Literal["constant"]

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1)."""
        return base_lr

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the phases of ``epochs`` epochs."""
        return [(1, {"lr": base_lr})]


class Step(Component):
    """The learning rate is multiplied by ``gamma`` every ``step_size`` epochs."""

    name: Literal["step"]
    step_size: int = Field(10, ge=1, description="epochs between two reductions")
    gamma: float = Field(0.1, gt=0, le=1, description="factor of a reduction")

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1)."""
        return base_lr * self.gamma ** ((epoch - 1) // self.step_size)

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the phases of ``epochs`` epochs: one per learning rate."""
        firsts = range(1, epochs + 1, self.step_size)
        return [(first, {"lr": self.lr_at(base_lr, first, epochs, ())}) for first in firsts]


class Cosine(Component):
    """Cosine annealing without restarts, from the base rate to ``min_lr`` over all epochs."""

    name: Literal["cosine"]
    min_lr: float = Field(0.0, ge=0, description="learning rate that the curve ends at")

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1); ``epochs`` is the horizon."""
        turn = math.pi * (epoch - 1) / epochs
        return self.min_lr + (base_lr - self.min_lr) * (1 + math.cos(turn)) / 2

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the one phase; its rule holds the horizon."""
        rule = {
            "rule": "cosine",
            "semantics": self.semantics,
            "lr": base_lr,
            "min_lr": self.min_lr,
            "epochs": epochs,
        }
        return [(1, rule)]


class Plateau(Component):
    """Multiply the rate by ``factor`` when ``monitor`` has not improved for ``patience`` epochs."""

    name: Literal["plateau"]
    monitor: Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"] = Field(
        "val_loss", description="metric that is watched"
    )
    factor: float = Field(0.1, gt=0, lt=1, description="factor of a reduction")
    patience: int = Field(10, ge=0, description="epochs without improvement that are tolerated")
    threshold: float = Field(1e-4, ge=0, description="smallest change that is an improvement")
    min_lr: float = Field(0.0, ge=0, description="the rate never falls below this")

    def lr_at(self, base_lr: float, epoch: int, epochs: int, history: History) -> float:
        """Return the learning rate of ``epoch`` (from 1), given all epochs before it."""
        lr, best, waited = base_lr, None, 0
        sign = 1.0 if self.monitor.endswith("loss") else -1.0
        for metrics in history[: epoch - 1]:
            value = sign * metrics[self.monitor]
            if best is None or value < best - self.threshold:
                best, waited = value, 0
                continue
            waited += 1
            if waited > self.patience:
                lr, waited = max(lr * self.factor, self.min_lr), 0
        return lr

    def phases(self, base_lr: float, epochs: int) -> list[Phase]:
        """Return the one phase; its rates are unknown beforehand, so its rule is hashed."""
        rule = {
            "rule": "plateau",
            "semantics": self.semantics,
            "lr": base_lr,
            "monitor": self.monitor,
            "factor": self.factor,
            "patience": self.patience,
            "threshold": self.threshold,
            "min_lr": self.min_lr,
        }
        return [(1, rule)]


Schedule = Annotated[Constant | Step | Cosine | Plateau, Field(discriminator="name")]

"""What a training is between two steps: the network, what moves it, and what it has read."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from runner.components.optimizers_net import TorchOptimizer
from runner.core.reader import ReaderState
from runner.engine.network.build import Network
from runner.engine.training.held_logits import HeldLogits


@dataclass(frozen=True, slots=True)
class StartedEpoch:
    """The steps of an epoch in which a training was stopped, as they were measured.

    Attributes:
        losses: of each.
        sizes: how much each counts in the mean: its images, or the weights of their classes.
        images: of all steps.
        sums: totals of the other measures, on the CPU.
        seconds: that the steps took.
    """

    losses: tuple[float, ...]
    sizes: tuple[float, ...]
    images: int
    sums: tuple[Tensor, ...]
    seconds: float

    @property
    def steps(self) -> int:
        """How many were taken."""
        return len(self.losses)


@dataclass
class TrainState:
    """What a training needs to continue, besides its settings.

    Attributes:
        network: the network being trained.
        optimizer: over its trainable parameters.
        readers: the state of each reader, by name.
        history: metrics by full name of each epoch so far.
        first_mean: mean loss of the first epoch's steps, or None before its end.
        best: weights that readers keep, by epoch, without those of frozen layers.
        written: digests of weights on the disk, of readers that have finished, by artifact.
        logits: that evaluations gave, of epochs that readers keep or have kept.
        started: steps of the next epoch that were taken before; None between two epochs, and once
            the epoch goes on.
        next_poll: when progress is next reported, by the monotonic clock.
    """

    network: Network
    optimizer: TorchOptimizer
    readers: dict[str, ReaderState]
    history: list[dict[str, float]] = field(default_factory=list)
    first_mean: float | None = None
    best: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    logits: HeldLogits = field(default_factory=HeldLogits)
    started: StartedEpoch | None = None
    next_poll: float = 0.0

    @property
    def epoch(self) -> int:
        """The last epoch that was trained."""
        return len(self.history)

    def val_accuracy(self) -> float | None:
        """Return that of the last epoch, or None."""
        return self.history[-1].get("val_accuracy") if self.history else None

    def waiting(self) -> list[str]:
        """Return the names of the readers that want further epochs."""
        return [name for name, reader in self.readers.items() if not reader.finished]

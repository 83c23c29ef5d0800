"""A training, epoch after epoch. What is trained, and what a step is, is decided elsewhere.

No step waits for the device: see `meter`. Every random draw is keyed, and the learning rate of an
epoch is a value. Does not know whether others are trained beside it: who gives the steps does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from runner.components.settings import Settings, measures_each_epoch, splits_each_epoch
from runner.core.errors import Interrupted
from runner.core.reader import (
    Reader,
    divergence,
    epochs_to_keep,
    read_epoch,
    unwritten,
)
from runner.core.records import EpochRecord, Metric
from runner.engine.context import Context, Progress
from runner.engine.data.samples import Samples
from runner.engine.network.build import copy_state
from runner.engine.stages.evaluate import Logits, evaluate
from runner.engine.training.held_logits import catching
from runner.engine.training.meter import Meter
from runner.engine.training.own_step import built_update
from runner.engine.training.state import StartedEpoch, TrainState
from runner.engine.training.step import TrainingStep

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Diverged:
    """The epoch and step at which the loss was not finite or too large, which ends a training."""

    epoch: int
    step: int
    record: EpochRecord


@dataclass(frozen=True, slots=True)
class Part:
    """A network in two parts, the first of which trainings have in common.

    Attributes:
        prefix: from a batch to features; one object for all that share it.
        head: from the features to logits; shares its layers with the network.
    """

    prefix: nn.Module
    head: nn.Module


class Training:
    """A training, one epoch after another: begin, a step for each batch, finish.

    Who calls these gives the batches of :meth:`batches`, and may give them to other trainings too.
    After a divergence or an error ``state`` must not be used again.

    Attributes:
        settings: of the training.
        samples: what it is trained and evaluated on.
        state: where it stands; its epoch moves on when one is finished.
        part: its network in two parts, where others may compute the first; or None.
        seconds: that its steps took, with its share of what it did not do alone.
        taken: steps of the epoch that were taken.
        writes_inputs: whether its network writes into the batches that it is given; None where
            that is not known.
    """

    def __init__(
        self,
        context: Context,
        settings: Settings,
        readers: Mapping[str, Reader],
        samples: Samples,
        state: TrainState,
    ) -> None:
        self._context, self._readers = context, readers
        self.settings, self.samples, self.state = settings, samples, state
        self.part: Part | None = None
        self.seconds = 0.0
        self.writes_inputs: bool | None = None
        self._epoch = self._total = self.taken = 0
        self._update = built_update(settings)

    @property
    def epoch(self) -> int:
        """The epoch that is trained next, or now."""
        return self.state.epoch + 1

    def batches(self, first: int = 1) -> Generator[tuple[Tensor, Tensor]]:
        """Return the batches of the epoch, from step ``first`` on."""
        train = self.settings.train
        return self.samples.training_batches(
            self.settings.seed,
            self.epoch,
            train.batch_size,
            train.drop_last,
            train.augment,
            train.sampling,
            first,
        )

    def sees_batches_of(self, other: Training) -> bool:
        """Return whether another training's batches are the same, and computed with alike."""
        mine, theirs = (
            (
                *(each.seed, train.batch_size, train.drop_last, train.sampling),
                *(train.augment, train.precision),
            )
            for each in (self.settings, other.settings)
            for train in (each.train,)
        )
        return mine == theirs and self.samples.trains_as(other.samples)

    def begin(self, behind_prefix: bool = False) -> None:
        """Begin an epoch, or go on in it behind the steps that were taken before.

        Args:
            behind_prefix: its steps are given what the prefix of ``part`` makes of the batches.
        """
        started = time.perf_counter()
        state, train = self.state, self.settings.train
        self._epoch = self.epoch
        self._rate = train.schedule.lr_at(
            train.optimizer.lr, self._epoch, train.epochs, state.history
        )
        for group in state.optimizer.param_groups:
            group["lr"] = self._rate
        network = state.network
        network.train()
        if behind_prefix:
            assert self.part is not None, "a prefix of a network that is in one part"
            network = replace(network, active=self.part.head)
        weights = self._class_weights()
        self._take_step = TrainingStep(
            self.settings, network, state.optimizer, weights, self._update
        )
        self._total = self.samples.num_steps(train.batch_size, train.drop_last)
        self._meter = Meter(
            self._epoch, train.epochs, self._total, measures_each_epoch(self.settings), weights
        )
        self.taken, before = 0, 0.0
        if state.started is not None:
            self._meter.go_on(state.started)
            self.taken, before = state.started.steps, state.started.seconds
            state.started = None
        self.seconds = before + time.perf_counter() - started

    def started_epoch(self) -> StartedEpoch | None:
        """Return the steps that were taken of the epoch that is trained next; None of none.

        Waits for the device.
        """
        if self.state.started is not None or not self.taken:
            return self.state.started
        return self._meter.so_far(self.seconds)

    def _class_weights(self) -> Tensor | None:
        """Return how much an image of each class counts in the loss, (outputs,), or None."""
        outputs = self.settings.model.classes or len(self.samples.classes)
        counts = self.samples.class_counts(outputs)
        weights = self.settings.train.loss.weights_of_classes(counts)
        if weights is None:
            return None
        return torch.tensor(weights, dtype=torch.float32).to(self.samples.device)

    def step(self, step: int, inputs: Tensor, labels: Tensor) -> bool:
        """Take a step of the epoch on a batch; return whether another makes sense.

        It does not where a progress report found a loss that is not finite.

        Raises:
            Interrupted: when asked to stop.
        """
        state, meter = self.state, self._meter
        meter.add(*self._take_step(self._epoch, step, inputs, labels), labels)
        self.taken = step
        if self._context.should_stop():
            raise Interrupted(f"stopped in epoch {self._epoch} after step {step} of {self._total}")
        if time.monotonic() >= state.next_poll:
            state.next_poll = time.monotonic() + POLL_SECONDS
            meter.ask()
        if meter.has_answer():
            here = replace(meter.progress(), val_accuracy=state.val_accuracy())
            self._context.on_progress(here)
            return math.isfinite(meter.losses[-1])
        return True

    def finish(self) -> EpochRecord | Diverged:
        """End the epoch: evaluate, and let the readers read it.

        Returns:
            The epoch's record, or where it diverged, with the losses up to there.
        """
        started = time.perf_counter()
        state, epoch, rate = self.state, self._epoch, self._rate
        self._meter.read()
        losses = self._meter.losses
        (limit,) = {reader.diverged_if for reader in self._readers.values()}
        bad = divergence(losses, state.first_mean, limit)
        if bad is not None:
            seconds = self.seconds + time.perf_counter() - started
            return Diverged(epoch, bad, EpochRecord(epoch, (), tuple(losses[:bad]), rate, seconds))
        caught = catching(self.settings, self.samples)
        metrics = [*self._meter.metrics(), *self._evaluated(caught)]
        seconds = self.seconds + time.perf_counter() - started
        record = EpochRecord(epoch, tuple(metrics), tuple(losses), rate, seconds)
        if not all(math.isfinite(metric.value) for metric in metrics):
            return Diverged(epoch, len(losses), replace(record, metrics=()))
        if state.first_mean is None:
            state.first_mean = math.fsum(losses) / len(losses)
        by_name = {f"{metric.split}_{metric.name}": metric.value for metric in metrics}
        state.history.append(by_name)
        self.taken = 0
        for name in state.waiting():
            state.readers[name] = read_epoch(self._readers[name], state.readers[name], by_name)
        _keep_best(state, self._readers)
        state.logits.hold(epoch, caught, epochs_to_keep(self._readers, state.readers))
        return record

    def _evaluated(self, caught: Mapping[str, Logits]) -> Iterator[Metric]:
        """Yield the measures on what is evaluated after each epoch."""
        settings, train = self.settings, self.settings.train
        measures = measures_each_epoch(settings)
        for split in splits_each_epoch(settings):
            report = _progress_of_split(self._context, self.state, split, train.epochs)
            yield from evaluate(
                self.state.network,
                self.samples,
                split,
                self._epoch,
                train.precision,
                measures,
                on_images=report,
                kept=caught.get(split),
            )


def _keep_best(state: TrainState, readers: Mapping[str, Reader]) -> None:
    """Hold the weights of each epoch that some reader keeps, and no others.

    The weights of readers that had finished before this epoch are on the disk already. Those that
    nobody keeps any more go first, so that their memory serves the new ones.
    """
    wanted = epochs_to_keep(readers, unwritten(readers, state.readers, state.written))
    state.best = {epoch: tensors for epoch, tensors in state.best.items() if epoch in wanted}
    if state.epoch in wanted:
        state.best[state.epoch] = copy_state(state.network)


def _progress_of_split(
    context: Context, state: TrainState, split: str, epochs: int
) -> Callable[[int, int], None]:
    """Return a function that reports the progress of a split's evaluation, now and then."""

    def report(done: int, total: int) -> None:
        if time.monotonic() >= state.next_poll:
            state.next_poll = time.monotonic() + POLL_SECONDS
            here = Progress(done, total, state.epoch + 1, epochs, split=split)
            context.on_progress(replace(here, val_accuracy=state.val_accuracy()))

    return report

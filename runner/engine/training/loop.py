"""The training loop: an epoch and a step. What is trained is decided elsewhere.

No step waits for the device: see `meter`. Every random draw is keyed, and the learning rate of an
epoch is a value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from runner.components.optimizers_net import TorchOptimizer
from runner.components.settings import Settings, measures_each_epoch, splits_each_epoch
from runner.core.errors import Interrupted
from runner.core.keys import keyed_seed
from runner.core.reader import (
    Reader,
    ReaderState,
    divergence,
    epochs_to_keep,
    read_epoch,
    unwritten,
)
from runner.core.records import EpochRecord, Metric
from runner.engine.context import Context, Progress
from runner.engine.data.samples import Samples
from runner.engine.network.build import Network, copy_state
from runner.engine.network.drawing import may_draw
from runner.engine.stages.evaluate import autocast, evaluate
from runner.engine.training.meter import Meter

POLL_SECONDS = 0.5


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
        next_poll: when progress is next reported, by the monotonic clock.
    """

    network: Network
    optimizer: TorchOptimizer
    readers: dict[str, ReaderState]
    history: list[dict[str, float]] = field(default_factory=list)
    first_mean: float | None = None
    best: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class Diverged:
    """The epoch and step at which the loss was not finite or too large, which ends a training."""

    epoch: int
    step: int
    record: EpochRecord


def train_epoch(
    context: Context,
    settings: Settings,
    readers: Mapping[str, Reader],
    samples: Samples,
    state: TrainState,
) -> EpochRecord | Diverged:
    """Train one epoch, evaluate, and let the readers read it; this changes ``state``.

    Returns:
        The epoch's record, or where it diverged, with the losses up to there. After a divergence
        ``state`` must not be used again.

    Raises:
        Interrupted: when asked to stop; ``state`` must not be used again.
    """
    started = time.perf_counter()
    epoch = state.epoch + 1
    train = settings.train
    rate = train.schedule.lr_at(train.optimizer.lr, epoch, train.epochs, state.history)
    losses, running = _pass(context, settings, samples, state, epoch, rate)
    (limit,) = {reader.diverged_if for reader in readers.values()}
    bad = divergence(losses, state.first_mean, limit)
    if bad is not None:
        record = EpochRecord(epoch, (), tuple(losses[:bad]), rate, time.perf_counter() - started)
        return Diverged(epoch, bad, record)
    metrics = [*running]
    measures = measures_each_epoch(settings)
    for split in splits_each_epoch(settings):
        report = _progress_of_split(context, state, split, train.epochs)
        metrics += evaluate(
            state.network, samples, split, epoch, train.precision, measures, on_images=report
        )
    seconds = time.perf_counter() - started
    record = EpochRecord(epoch, tuple(metrics), tuple(losses), rate, seconds)
    if not all(math.isfinite(metric.value) for metric in metrics):
        return Diverged(epoch, len(losses), replace(record, metrics=()))
    if state.first_mean is None:
        state.first_mean = math.fsum(losses) / len(losses)
    by_name = {f"{metric.split}_{metric.name}": metric.value for metric in metrics}
    state.history.append(by_name)
    for name in state.waiting():
        state.readers[name] = read_epoch(readers[name], state.readers[name], by_name)
    _keep_best(state, readers)
    return record


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


def _pass(
    context: Context,
    settings: Settings,
    samples: Samples,
    state: TrainState,
    epoch: int,
    rate: float,
) -> tuple[list[float], tuple[Metric, ...]]:
    """Train on all training images once.

    Returns:
        The loss of every step, up to where a progress report found one not finite; and the
        measures over the pass.
    """
    train = settings.train
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.network.train()
    take_step = TrainingStep(settings, state.network, state.optimizer)
    total = samples.num_steps(train.batch_size, train.drop_last)
    meter = Meter(epoch, train.epochs, total, measures_each_epoch(settings))
    batches = samples.training_batches(
        settings.seed, epoch, train.batch_size, train.drop_last, train.augment
    )
    with closing(batches):  # also when stopped: then nothing goes on preparing batches
        for step, (inputs, labels) in enumerate(batches, start=1):
            meter.add(*take_step(epoch, step, inputs, labels), labels)
            if context.should_stop():
                raise Interrupted(f"stopped in epoch {epoch} after step {step} of {total}")
            if time.monotonic() >= state.next_poll:
                state.next_poll = time.monotonic() + POLL_SECONDS
                meter.ask()
            if meter.has_answer():
                here = replace(meter.progress(), val_accuracy=state.val_accuracy())
                context.on_progress(here)
                if not math.isfinite(meter.losses[-1]):
                    break
    meter.read()
    return meter.losses, meter.metrics()


class TrainingStep:
    """One update of the weights on a batch: what a training does, and what a probe times."""

    def __init__(self, settings: Settings, network: Network, optimizer: TorchOptimizer) -> None:
        self._settings, self._network, self._optimizer = settings, network, optimizer
        self._criterion = settings.train.loss.build()
        self._may_draw = may_draw(network.active, self._criterion)

    def __call__(
        self, epoch: int, step: int, inputs: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update the weights once; return the batch's mean loss and its logits, both detached.

        Args:
            epoch: from 1.
            step: of the epoch, from 1.
            inputs: (B, …), on the device of the network.
            labels: (B,), likewise.
        """
        settings, train = self._settings, self._settings.train
        if self._may_draw:
            seed_generator(inputs.device, keyed_seed(settings.seed, "dropout", epoch, step))
        with autocast(inputs.device, train.precision):
            logits = self._network(inputs)
        loss: Tensor = self._criterion(logits.float(), labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if train.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self._network.trainable(), train.clip_grad_norm)
        self._optimizer.step()
        return loss.detach(), logits.detach()


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed the generator that dropout draws from on the device, and no other.

    ``torch.manual_seed`` seeds all devices, used or not, which takes longer than a step of a small
    network.
    """
    if device.type == "mps":
        torch.mps.manual_seed(seed)
    elif device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)

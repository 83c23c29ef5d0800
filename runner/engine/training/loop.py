"""The training loop, and nothing that decides what to train.

One function per level: a training, an epoch, a step. Losses stay on the device until an epoch ends
(or half a second has passed, for the progress line), every random draw is keyed, and the learning
rate of an epoch is a value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from runner.components.settings import Settings
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
from runner.engine.stages.evaluate import autocast, evaluate

POLL_SECONDS = 0.5


@dataclass
class TrainState:
    """Everything a training needs to go on, besides what its settings say.

    Attributes:
        network: the network being trained.
        optimizer: over its trainable parameters.
        readers: where each reader stands, by name.
        history: metrics by full name of each epoch so far.
        first_mean: mean loss of the first epoch's steps, or None before its end.
        best: weights that readers keep, by epoch; those of frozen layers left out.
        written: digests of the weights of satisfied readers that are written, by artifact.
        next_poll: when the device is next asked how it stands, by the monotonic clock.
    """

    network: Network
    optimizer: torch.optim.Optimizer
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
        """Return the readers that want further epochs."""
        return [name for name, reader in self.readers.items() if not reader.finished]


@dataclass(frozen=True, slots=True)
class Diverged:
    """A training ended by a loss that was not finite or too large, at this epoch and step."""

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
    """Train one epoch, evaluate, and let the readers read it; ``state`` is moved on.

    Returns:
        The epoch's record; or where it diverged, with the losses up to there, the state being of no
        further use.

    Raises:
        Interrupted: when asked to stop; the state is of no further use.
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
    for split in _evaluated_splits(settings):
        told = _teller(context, state, split, train.epochs)
        metrics += evaluate(state.network, samples, split, epoch, train.precision, told=told)
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
    """Keep the weights of each epoch that some reader keeps, and no others.

    Those of readers that were satisfied before this epoch are written.
    """
    wanted = epochs_to_keep(readers, unwritten(readers, state.readers, state.written))
    if state.epoch in wanted:
        state.best[state.epoch] = copy_state(state.network)
    state.best = {epoch: tensors for epoch, tensors in state.best.items() if epoch in wanted}


def _teller(
    context: Context, state: TrainState, split: str, epochs: int
) -> Callable[[int, int], None]:
    """Return what tells how far the evaluation of a split is, when it is time to."""

    def told(done: int, total: int) -> None:
        if time.monotonic() >= state.next_poll:
            state.next_poll = time.monotonic() + POLL_SECONDS
            here = Progress(done, total, state.epoch + 1, epochs, split=split)
            context.on_progress(replace(here, val_accuracy=state.val_accuracy()))

    return told


def _evaluated_splits(settings: Settings) -> list[str]:
    splits = ["train_eval"] if settings.evaluate.train_eval == "full" else []
    splits += ["val"] if settings.data.validation > 0 else []
    splits += ["test"] if settings.evaluate.test == "each_epoch" else []
    return splits


def _pass(
    context: Context,
    settings: Settings,
    samples: Samples,
    state: TrainState,
    epoch: int,
    rate: float,
) -> tuple[list[float], tuple[Metric, Metric]]:
    """Run one pass over the training images.

    Returns:
        The loss of every step (fewer when a poll saw it diverge), and the running averages.
    """
    train = settings.train
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.network.train()
    criterion = train.loss.build()
    total = samples.num_steps(train.batch_size, train.drop_last)
    meter = _Meter(epoch, train.epochs, total)
    batches = samples.training_batches(
        settings.seed, epoch, train.batch_size, train.drop_last, train.augment
    )
    for step, (inputs, labels) in enumerate(batches, start=1):
        seed_generator(context.device, keyed_seed(settings.seed, "dropout", epoch, step))
        meter.add(_step(settings, state, criterion, inputs, labels), labels)
        if context.should_stop():
            raise Interrupted(f"stopped in epoch {epoch} after step {step} of {total}")
        if time.monotonic() >= state.next_poll:
            state.next_poll = time.monotonic() + POLL_SECONDS
            here = meter.progress(step)
            context.on_progress(replace(here, val_accuracy=state.val_accuracy()))
            if not math.isfinite(meter.last()):
                break
    return meter.losses(), meter.metrics()


def _step(
    settings: Settings, state: TrainState, criterion: nn.Module, inputs: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Update the weights once; return the batch's mean loss and its logits, both detached."""
    train = settings.train
    with autocast(inputs.device, train.precision):
        logits = state.network(inputs)
    loss: Tensor = criterion(logits.float(), labels)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if train.clip_grad_norm is not None:
        nn.utils.clip_grad_norm_(state.network.trainable(), train.clip_grad_norm)
    state.optimizer.step()
    return loss.detach(), logits.detach()


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed the stream that dropout draws from on the device, and no other.

    ``torch.manual_seed`` also looks at devices that are not used, which costs more than a small
    network's step.
    """
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class _Meter:
    """Running loss and accuracy of a pass, kept on the device."""

    def __init__(self, epoch: int, epochs: int, total: int) -> None:
        self._epoch, self._epochs, self._total = epoch, epochs, total
        self._losses: list[Tensor] = []
        self._sum: Tensor | float = 0.0
        self._correct: Tensor | int = 0
        self._count = 0

    def add(self, result: tuple[Tensor, Tensor], labels: Tensor) -> None:
        """Count one step; does not wait for the device."""
        loss, logits = result
        self._losses.append(loss)
        self._sum = self._sum + loss.double() * len(labels)
        self._correct = self._correct + (logits.argmax(1) == labels).sum()
        self._count += len(labels)

    def last(self) -> float:
        """Return the last step's loss; waits for the device."""
        return float(self._losses[-1])

    def losses(self) -> list[float]:
        """Return the loss of every step; waits for the device."""
        return [float(loss) for loss in torch.stack(self._losses).cpu()]

    def progress(self, step: int) -> Progress:
        """Return where the pass stands; waits for the device."""
        loss, accuracy = float(self._sum) / self._count, int(self._correct) / self._count
        return Progress(step, self._total, self._epoch, self._epochs, loss, accuracy)

    def metrics(self) -> tuple[Metric, Metric]:
        """Return the averages over the pass; waits for the device."""
        return (
            Metric(self._epoch, "train", "loss", float(self._sum) / self._count),
            Metric(self._epoch, "train", "accuracy", int(self._correct) / self._count),
        )

"""The train stage: start or continue, epoch after epoch, until no reader wants another.

Owns when records, checkpoints and weights are written. The order matters: epochs are stored in the
database before the checkpoint that follows them, so that a checkpoint never speaks of epochs that
no one recorded. A reader that is satisfied has its weights on the disk at once and its outcome
when the training ends, well or badly; when it is stopped, after it has gone on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from runner.components.resolved import typed_settings
from runner.core.artifacts import weights_name
from runner.core.errors import Interrupted
from runner.core.moments import reached
from runner.core.plan import Record
from runner.core.reader import kept_epochs
from runner.core.records import EpochRange, EpochRecord, Produced, as_lists, clipped
from runner.core.stages import Train
from runner.engine.context import Context, Outcome
from runner.engine.data.samples import Images, Samples
from runner.engine.job import StageJob
from runner.engine.network.build import (
    Network,
    count_parameters,
    layer_counts,
    network_for,
)
from runner.engine.stages.features import take_features
from runner.engine.stages.recorded import read_record
from runner.engine.training.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from runner.engine.training.loop import Diverged, TrainState, train_epoch
from runner.engine.training.resume import find_start, joined, packed, with_written
from runner.engine.training.retention import keep_state, with_room

FLUSH_SECONDS = 2.0


class _Book:
    """Epochs on their way to the database and the disk.

    Attributes:
        inputs: digests of what is trained on.
    """

    def __init__(
        self,
        context: Context,
        task: StageJob[Train],
        inputs: Mapping[str, str],
        before: Sequence[EpochRange],
    ) -> None:
        self._context, self._task, self.inputs = context, task, inputs
        self._before = before
        self._pending: list[EpochRecord] = []
        self._first: int | None = None
        self._last = 0
        self._saved_epoch = before[-1].last if before else 0
        self._flushed = self._saved = time.monotonic()

    def reads(self) -> list[EpochRange]:
        """Return which epochs of which attempts make up the training so far."""
        mine = (
            [] if self._first is None else [EpochRange(self._task.attempt, self._first, self._last)]
        )
        return [*self._before, *mine]

    def add(self, record: EpochRecord) -> None:
        """Take a finished epoch; store what waited long enough."""
        self._first = record.epoch if self._first is None else self._first
        self._last = record.epoch
        self._pending.append(record)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store all epochs that wait."""
        self._task.store_epochs(self._pending)
        reached("epochs recorded")
        self._pending = []
        self._flushed = time.monotonic()

    def checkpoint(self, state: TrainState) -> None:
        """Write a checkpoint when enough finished epochs would be lost without one."""
        if time.monotonic() - self._saved < self._context.checkpoint_seconds:
            return
        self.flush()
        folder = self._context.artifacts.checkpoint(self._task.stage.key)
        checkpoint = packed(self._context, self.inputs, self._task, state, self.reads())
        with_room(self._context, lambda: save_checkpoint(folder, checkpoint))
        reached("checkpoint whole")
        self._saved = time.monotonic()
        self._saved_epoch = state.epoch

    def keep_last_state(self, state: TrainState) -> None:
        """Keep the state at the end, for branches and for later runs that go on from it."""
        self.flush()
        name = self._task.stage.trajectory.state_at(state.epoch)
        folder = self._context.artifact_path(name)
        state = with_written(self._context, self._task, state)
        checkpoint = packed(self._context, self.inputs, self._task, state, self.reads())
        checkpoint = joined(checkpoint, load_checkpoint(folder))
        keep_state(self._context, self._task.stage, name, checkpoint)

    def redone(self) -> str:
        """Return what a training that is stopped now does again later."""
        if not self._saved_epoch:
            return "this training starts again from its first epoch"
        return f"this training goes on after epoch {self._saved_epoch}"


def train_stage(context: Context, images: Images, task: StageJob[Train]) -> Outcome:
    """Train until no reader wants another epoch, or to the end of the stage's path.

    Where everything is recorded, nothing is trained.

    Raises:
        Interrupted: when asked to stop; says which epochs are trained again.
        ClaimLost: when another process took the stage over.
    """
    settings = typed_settings(task.stage.settings)
    network = network_for(context, settings, images)
    network, samples = take_features(context, task.stage, images, network)
    inputs = {"pixels": images.digest, "features": "" if samples is images else samples.digest}
    if task.record is not None:
        read = read_record(context, network, inputs, task, task.record)
        if read is not None:
            return _as_recorded(context, task, task.record, read)
    state, before = find_start(context, network, inputs, task)
    reached("start of a training found")
    task.store_ranges(_to_read(task, state, before))
    book = _Book(context, task, inputs, before)
    gpus = [] if context.device.type == "cpu" else [context.device]
    try:
        with torch.random.fork_rng(gpus, device_type=context.device.type if gpus else "cuda"):
            diverged = _train(context, samples, task, state, book)
    except Interrupted as stop:
        raise Interrupted(f"{stop}; {book.redone()}") from None
    finally:
        book.flush()
    if diverged is not None:
        return _diverged(diverged, task, state, book)
    if state.epoch >= task.stage.first_epoch:
        book.keep_last_state(state)
    return _done(task, state, book)


def _to_read(
    task: StageJob[Train], state: TrainState, before: Sequence[EpochRange]
) -> dict[str, list[EpochRange]]:
    """Return the epochs that each reader has, and those that it may read of this attempt."""
    last = task.stage.last_epoch
    ahead = [EpochRange(task.attempt, state.epoch + 1, last)] if state.epoch < last else []
    ends = {
        name: reader.epoch if reader.finished else task.stage.readers[name].budget
        for name, reader in state.readers.items()
    }
    return {name: clipped([*before, *ahead], end) for name, end in ends.items()}


def _as_recorded(
    context: Context, task: StageJob[Train], record: Record, state: TrainState
) -> Outcome:
    """Let the readers read recorded epochs; the one in which they diverge is recorded anew."""
    book = _Book(context, task, record.inputs, clipped(record.ranges, state.epoch))
    _settle(context, task, state, book)
    ending = record.ending
    if not state.waiting() or ending is None:
        return _done(task, state, book)
    book.add(ending)
    book.flush()
    return _diverged(Diverged(ending.epoch, len(ending.step_losses), ending), task, state, book)


def _train(
    context: Context, samples: Samples, task: StageJob[Train], state: TrainState, book: _Book
) -> Diverged | None:
    """Train epoch after epoch; return where it diverged, or None."""
    stage, settings = task.stage, typed_settings(task.stage.settings)
    last = stage.last_epoch
    _settle(context, task, state, book)
    while state.waiting() and state.epoch < last:
        reached("epoch begins")
        record = train_epoch(context, settings, stage.readers, samples, state)
        reached("epoch trained")
        if isinstance(record, Diverged):
            book.add(record.record)
            return record
        book.add(record)
        _settle(context, task, state, book)
        if state.waiting() and state.epoch < last:
            book.checkpoint(state)
    return None


def _settle(context: Context, task: StageJob[Train], state: TrainState, book: _Book) -> None:
    """Write the weights of the readers that have just become satisfied, and what they read."""
    done = [name for name, reader in state.readers.items() if reader.finished]
    fresh = [name for name in done if name not in task.finished_readers]
    if fresh:
        book.flush()
    for name in fresh:
        reader = state.readers[name]
        for which, epoch in kept_epochs(task.stage.readers[name], reader).items():
            task.produced.append(_keep(context, weights_name(name, which), epoch, state))
        task.finished_readers[name] = {
            **_described(state.network),
            "status": "done",
            "inputs": dict(book.inputs),
            "reads": as_lists(clipped(book.reads(), reader.epoch)),
            "best_epoch": reader.best_epoch,
            "last_epoch": reader.epoch,
            "stopped_early": reader.stopped_early,
        }
    if fresh:
        task.store_ranges({name: task.finished_readers[name]["reads"] for name in fresh})


def _diverged(at: Diverged, task: StageJob[Train], state: TrainState, book: _Book) -> Outcome:
    message = f"diverged in epoch {at.epoch} at step {at.step}"
    for name in state.waiting():
        task.finished_readers[name] = {
            **_described(state.network),
            "status": "diverged",
            "message": message,
            "inputs": dict(book.inputs),
            "reads": as_lists(book.reads()),
            "best_epoch": state.readers[name].best_epoch or None,
            "last_epoch": state.epoch,
            "diverged": {"epoch": at.epoch, "step": at.step},
        }
    return Outcome("diverged", {"readers": task.finished_readers}, message, produced=task.produced)


def _done(task: StageJob[Train], state: TrainState, book: _Book) -> Outcome:
    values = {"readers": task.finished_readers, "reads": as_lists(book.reads())}
    return Outcome("done", values, produced=task.produced)


def _described(network: Network) -> dict[str, Any]:
    """Return what is recorded of a network: its layers, and what pretrained weights gave."""
    layers = layer_counts(network)
    described: dict[str, Any] = {"parameters": count_parameters(network.module)}
    described["layers"] = [[each.name, each.parameters, each.trainable] for each in layers]
    if network.weight_match is not None:
        described["loaded"] = list(network.weight_match.loaded)
        described["fresh"] = list(network.weight_match.fresh)
    return described


def _keep(context: Context, artifact: str, epoch: int, state: TrainState) -> Produced:
    """Write the weights of an epoch, unless an earlier attempt at the training has."""
    path = context.artifact_path(artifact)
    if epoch not in state.best:
        return Produced(artifact, state.written[artifact], path.stat().st_size)
    tensors = state.best[epoch]
    state.written[artifact], size = with_room(context, lambda: save_weights(path, tensors))
    reached("weights written, not recorded")
    return Produced(artifact, state.written[artifact], size)

"""The train stage: start or continue, epoch after epoch, with records and checkpoints on the way.

Owns what a checkpoint of a training holds and when it is written. The order matters: epochs are
stored in the database before the checkpoint that follows them, so that a checkpoint never speaks of
epochs that no one recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from runner.core.errors import Interrupted
from runner.core.reading import state_from_json, state_to_json
from runner.core.types import EpochRecord, Reader, Stage
from runner.engine.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_network,
    optimizer_tensors,
    prefixed,
    remove_checkpoint,
    restore_optimizer,
    save_checkpoint,
    save_tensors,
    unprefixed,
)
from runner.engine.context import Context, EpochSink, Outcome, Produced
from runner.engine.features import take_features
from runner.engine.images import Images, Samples
from runner.engine.network import (
    Network,
    build_network,
    copy_state,
    count_parameters,
    layer_counts,
    tensors_digest,
)
from runner.engine.train import Diverged, TrainState, train_epoch
from runner.spec.settings import Settings

FLUSH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class TrainTask:
    """One training, as a stage asks for it.

    Attributes:
        settings: of the run.
        reader: when it ends and which weights it keeps.
        attempt: id under which epochs are recorded.
        store_epochs: records epochs.
        can_continue: whether recorded epochs, as [attempt, first, last] ranges, are all there.
    """

    stage: Stage
    settings: Settings
    reader: Reader
    attempt: int
    store_epochs: EpochSink
    can_continue: Callable[[Sequence[Sequence[int]]], bool]


class _Book:
    """Epochs on their way to the database and the disk."""

    def __init__(
        self, context: Context, task: TrainTask, inputs: Mapping[str, str], before: list[list[int]]
    ) -> None:
        self._context, self._task, self._inputs = context, task, inputs
        self._before = before
        self._pending: list[EpochRecord] = []
        self._first: int | None = None
        self._last = 0
        self._saved_epoch = before[-1][-1] if before else 0
        self._flushed = self._saved = time.monotonic()

    def reads(self) -> list[list[int]]:
        """Return which epochs of which attempts make up the training so far."""
        mine = [] if self._first is None else [[self._task.attempt, self._first, self._last]]
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
        self._pending = []
        self._flushed = time.monotonic()

    def checkpoint(self, state: TrainState) -> None:
        """Write a checkpoint when enough finished epochs would be lost without one."""
        if time.monotonic() - self._saved < self._context.checkpoint_seconds:
            return
        self.flush()
        folder = self._context.checkpoint_folder(self._task.stage.key)
        save_checkpoint(folder, _packed(self._context, self._inputs, state, self.reads()))
        self._saved = time.monotonic()
        self._saved_epoch = state.reader.epoch

    def redone(self) -> str:
        """Return what a training that is stopped now does again later."""
        if not self._saved_epoch:
            return "this training starts again from its first epoch"
        return f"this training goes on after epoch {self._saved_epoch}"


def train_stage(context: Context, images: Images, task: TrainTask) -> Outcome:
    """Train until the reader has read enough; write the weights it keeps.

    Raises:
        Interrupted: when asked to stop; says which epochs are trained again.
        ClaimLost: when another process took the stage over.
    """
    settings = task.settings
    network = build_network(
        settings,
        images.shape,
        len(images.classes),
        context.device,
        context.weights_path(settings),
    )
    network, samples = take_features(context, task.stage, images, network)
    inputs = {"pixels": images.digest, "features": "" if samples is images else samples.digest}
    state, before = _start(context, network, inputs, task)
    book = _Book(context, task, inputs, before)
    gpus = [context.device] if context.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(gpus):
            diverged = _train(context, samples, task, state, book)
    except Interrupted as stop:
        raise Interrupted(f"{stop}; {book.redone()}") from None
    finally:
        book.flush()
    if diverged is not None:
        return _diverged(diverged, state, book)
    return _done(context, task, state, book)


def _train(
    context: Context, samples: Samples, task: TrainTask, state: TrainState, book: _Book
) -> Diverged | None:
    """Train epoch after epoch; return where it diverged, or None."""
    while not state.reader.finished:
        record = train_epoch(context, task.settings, task.reader, samples, state)
        if isinstance(record, Diverged):
            book.add(record.record)
            return record
        book.add(record)
        if not state.reader.finished:
            book.checkpoint(state)
    return None


def _start(
    context: Context, network: Network, inputs: Mapping[str, str], task: TrainTask
) -> tuple[TrainState, list[list[int]]]:
    optimizer = task.settings.train.optimizer.build(list(network.trainable()))
    state = TrainState(network, optimizer)
    found = load_checkpoint(context.checkpoint_folder(task.stage.key))
    if found is None:
        return state, []
    refusal = _refusal(context, inputs, task, found.values)
    if refusal:
        context.on_note(f"starting over: the checkpoint {refusal}")
        return state, []
    _unpack(state, found)
    context.on_note(f"continuing after epoch {state.reader.epoch}")
    return state, [list(item) for item in found.values["reads"]]


def _refusal(
    context: Context, inputs: Mapping[str, str], task: TrainTask, values: Mapping[str, Any]
) -> str:
    """Return why a checkpoint must not be continued, or ""."""
    if values["numerics"] != dict(context.numerics) and not context.accept_mixed:
        return "was made with another device, torch or thread count (--accept-mixed goes on)"
    if values["inputs"]["pixels"] != inputs["pixels"]:
        return "was made with other pixels (another Pillow decoded them)"
    if values["inputs"]["features"] != inputs["features"] and not context.accept_mixed:
        return "was made with other frozen features, or without (--accept-mixed goes on)"
    if not task.can_continue(values["reads"]):
        return "speaks of epochs that the database lacks"
    return ""


def _packed(
    context: Context, inputs: Mapping[str, str], state: TrainState, reads: list[list[int]]
) -> Checkpoint:
    tensors, others = optimizer_tensors(state.optimizer)
    return Checkpoint(
        tensors={
            **prefixed("network", copy_state(state.network.module)),
            **prefixed("best", state.best),
            **prefixed("optimizer", tensors),
        },
        values={
            "epoch": state.reader.epoch,
            "reader": state_to_json(state.reader),
            "history": state.history,
            "first_mean": state.first_mean,
            "optimizer": others,
            "reads": reads,
            "inputs": dict(inputs),
            "numerics": dict(context.numerics),
        },
    )


def _unpack(state: TrainState, checkpoint: Checkpoint) -> None:
    values, tensors = checkpoint.values, checkpoint.tensors
    device = next(state.network.module.parameters()).device
    load_network(state.network.module, unprefixed("network", tensors))
    restore_optimizer(state.optimizer, unprefixed("optimizer", tensors), values["optimizer"])
    state.best = {name: each.to(device) for name, each in unprefixed("best", tensors).items()}
    state.reader = state_from_json(values["reader"])
    state.history = [dict(each) for each in values["history"]]
    state.first_mean = values["first_mean"]


def _diverged(at: Diverged, state: TrainState, book: _Book) -> Outcome:
    message = f"diverged in epoch {at.epoch} at step {at.step}"
    values = {
        "reads": book.reads(),
        **_described(state.network),
        "best_epoch": state.reader.best_epoch or None,
        "last_epoch": state.reader.epoch,
        "diverged": {"epoch": at.epoch, "step": at.step},
    }
    return Outcome("diverged", values, message)


def _done(context: Context, task: TrainTask, state: TrainState, book: _Book) -> Outcome:
    produced = [_keep(context, task, "best", state.best)]
    if task.reader.wants_test == "last":
        produced.append(_keep(context, task, "last", copy_state(state.network.module)))
    values = {
        "reads": book.reads(),
        **_described(state.network),
        "best_epoch": state.reader.best_epoch,
        "last_epoch": state.reader.epoch,
        "stopped_early": state.reader.stopped_early,
    }
    return Outcome("done", values, produced=produced)


def _described(network: Network) -> dict[str, Any]:
    """Return what is recorded of a network: its layers, and what pretrained weights gave."""
    layers = layer_counts(network)
    described: dict[str, Any] = {"parameters": count_parameters(network.module)}
    described["layers"] = [[each.name, each.parameters, each.trainable] for each in layers]
    if network.fit is not None:
        described["loaded"] = list(network.fit.loaded)
        described["fresh"] = list(network.fit.fresh)
    return described


def _keep(context: Context, task: TrainTask, which: str, tensors: Mapping[str, Tensor]) -> Produced:
    name = f"weights/{task.stage.key}-{which}"
    size = save_tensors(context.artifact_path(name), tensors)
    return Produced(name, tensors_digest(tensors), size)


def forget_checkpoint(context: Context, stage_key: str) -> None:
    """Remove a training's checkpoint, once its end is recorded."""
    remove_checkpoint(context.checkpoint_folder(stage_key))

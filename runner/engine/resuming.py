"""Where a training begins: its checkpoint, a state that another training left, or nothing.

Owns what a state holds, under which name it is kept, and which states may be gone on from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.core.keys import epoch_key
from runner.core.reading import ReaderState, read_epoch
from runner.core.types import Reader
from runner.engine.checkpoint import (
    JSON_NAME,
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    prefixed,
    restore_optimizer,
    unprefixed,
)
from runner.engine.context import Context
from runner.engine.network import Network, copy_state, load_state
from runner.engine.train import TrainState, kept_epochs

if TYPE_CHECKING:
    from runner.engine.training_stage import TrainTask


def state_at(path: Sequence[Mapping[str, Any]], epoch: int) -> str:
    """Return the artifact name of the state after an epoch of a path."""
    segment = next(each for each in reversed(path) if each["first_epoch"] <= epoch)
    return f"states/{epoch_key(segment['key'], epoch)}"


def find_start(
    context: Context, network: Network, inputs: Mapping[str, str], task: TrainTask
) -> tuple[TrainState, list[list[int]]]:
    """Return the furthest state from which the training may go on, and what was read before it.

    A branch whose parent's state cannot be used begins with the first epoch, as its settings hold
    for all epochs of its path.
    """
    optimizer = task.settings.train.optimizer.build(list(network.trainable()))
    fresh = {name: ReaderState() for name in task.readers}
    state = TrainState(network, optimizer, fresh)
    own, why = context.checkpoint_folder(task.stage.key), "is gone or damaged"
    for folder in _candidates(context, task):
        found = load_checkpoint(folder)
        if found is None:
            continue
        refusal = _refusal(context, inputs, task, found)
        if refusal:
            why = refusal
            if folder == own:
                context.on_note(f"not continuing: the checkpoint {refusal}")
            continue
        _unpack(state, found, task.readers)
        (folder / JSON_NAME).touch()
        if state.epoch >= task.stage.spec["first_epoch"]:
            context.on_note(f"continuing after epoch {state.epoch}")
        return state, [list(item) for item in found.values["reads"]]
    if task.stage.spec["start"]:
        context.on_note(f"starting with the first epoch: the state to branch from {why}")
    return state, []


def _candidates(context: Context, task: TrainTask) -> Iterator[Path]:
    """Yield where states of this training may lie, the furthest first."""
    spec = task.stage.spec
    yield context.checkpoint_folder(task.stage.key)
    if not context.share_states:
        return
    last = sum(each["num_epochs"] for each in spec["path"])
    for epoch in range(last, spec["first_epoch"] - 1, -1):
        folder = context.artifact_path(state_at(spec["path"], epoch))
        if folder.is_dir():
            yield folder
    if spec["start"]:
        yield context.artifact_path(spec["start"])


def _refusal(
    context: Context, inputs: Mapping[str, str], task: TrainTask, found: Checkpoint
) -> str:
    """Return why a checkpoint must not be continued, or ""."""
    values = found.values
    if values["numerics"] != dict(context.numerics) and not context.accept_mixed:
        return "was made with another device, torch or thread count (--accept-mixed goes on)"
    if values["inputs"]["pixels"] != inputs["pixels"]:
        return "was made with other pixels (another Pillow decoded them)"
    if values["inputs"]["features"] != inputs["features"] and not context.accept_mixed:
        return "was made with other frozen features, or without (--accept-mixed goes on)"
    if values["diverged_if"] > _limit(task):
        return "was made under a higher limit of divergence"
    readers = _replayed(task.readers, values["history"])
    if not kept_epochs(task.readers, readers) <= set(values["best_epochs"]):
        return "keeps the weights of other epochs than are wanted"
    if not task.can_continue(values["reads"]):
        return "speaks of epochs that the database lacks"
    return ""


def _limit(task: TrainTask) -> float:
    """Return the limit of divergence that all readers of a training have in common."""
    (limit,) = {reader.diverged_if for reader in task.readers.values()}
    return limit


def _replayed(
    readers: Mapping[str, Reader], history: Sequence[Mapping[str, float]]
) -> dict[str, ReaderState]:
    """Return where readers stand after the epochs of a history."""
    states = {name: ReaderState() for name in readers}
    for metrics in history:
        for name, state in states.items():
            if not state.finished:
                states[name] = read_epoch(readers[name], state, metrics)
    return states


def packed(
    context: Context,
    inputs: Mapping[str, str],
    task: TrainTask,
    state: TrainState,
    reads: list[list[int]],
) -> Checkpoint:
    """Return all that a training needs to go on."""
    tensors, others = optimizer_tensors(state.optimizer)
    best: dict[str, Any] = {}
    for epoch, weights in state.best.items():
        best |= prefixed(f"best.{epoch}", weights)
    return Checkpoint(
        tensors={
            **prefixed("network", copy_state(state.network)),
            **prefixed("optimizer", tensors),
            **best,
        },
        values={
            "epoch": state.epoch,
            "history": state.history,
            "first_mean": state.first_mean,
            "best_epochs": sorted(state.best),
            "optimizer": others,
            "reads": reads,
            "inputs": dict(inputs),
            "numerics": dict(context.numerics),
            "diverged_if": _limit(task),
        },
    )


def joined(checkpoint: Checkpoint, other: Checkpoint | None) -> Checkpoint:
    """Return a state with the weights that another training kept beside the same state.

    Other trainings branch from either; of equal epochs, made alike, the weights are equal.
    """
    alike = ("epoch", "history", "inputs", "numerics")
    if other is None or any(checkpoint.values[key] != other.values[key] for key in alike):
        return checkpoint
    kept = {name: each for name, each in other.tensors.items() if name.startswith("best.")}
    epochs = {*checkpoint.values["best_epochs"], *other.values["best_epochs"]}
    return Checkpoint(
        tensors={**kept, **checkpoint.tensors},
        values={
            **checkpoint.values,
            "best_epochs": sorted(epochs),
            "diverged_if": min(checkpoint.values["diverged_if"], other.values["diverged_if"]),
        },
    )


def _unpack(state: TrainState, checkpoint: Checkpoint, readers: Mapping[str, Reader]) -> None:
    values, tensors = checkpoint.values, checkpoint.tensors
    device = next(state.network.module.parameters()).device
    load_state(state.network, unprefixed("network", tensors))
    restore_optimizer(state.optimizer, unprefixed("optimizer", tensors), values["optimizer"])
    state.history = [dict(each) for each in values["history"]]
    state.first_mean = values["first_mean"]
    state.readers = _replayed(readers, state.history)
    wanted = kept_epochs(readers, state.readers)
    state.best = {
        epoch: {
            name: each.to(device) for name, each in unprefixed(f"best.{epoch}", tensors).items()
        }
        for epoch in values["best_epochs"]
        if epoch in wanted
    }

"""Where a training begins: its checkpoint, a state that another training left, or nothing.

Owns what a state holds, under which name it is kept, and which states may be gone on from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.core.paths import lies_on, place_of_state, segment_at
from runner.core.reading import ReaderState, read_epoch
from runner.core.types import Reader
from runner.engine.checkpoint import (
    JSON_NAME,
    Checkpoint,
    describe_checkpoint,
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


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A folder from whose state a training may perhaps go on, and the epoch of that state."""

    epoch: int
    folder: Path
    is_own: bool = False


def find_start(
    context: Context, network: Network, inputs: Mapping[str, str], task: TrainTask
) -> tuple[TrainState, list[list[int]]]:
    """Return the furthest state from which the training may go on, and what was read before it.

    That is a state on its path: of its own checkpoint, of a checkpoint that another training of the
    same epochs left, or one that was kept at an end or a branch. A branch whose parent's state
    cannot be used may begin with the first epoch, as its settings hold for all epochs of its path.
    """
    optimizer = task.settings.train.optimizer.build(list(network.trainable()))
    fresh = {name: ReaderState() for name in task.readers}
    state = TrainState(network, optimizer, fresh)
    first, why = task.stage.spec["first_epoch"], "is gone or damaged"
    candidates = sorted(_candidates(context, task), key=lambda each: (-each.epoch, not each.is_own))
    for each in candidates:
        with suppress(OSError):  # used just now; another process may remove it all the same
            os.utime(each.folder / JSON_NAME)
        found = load_checkpoint(each.folder)
        if found is None:
            continue
        refusal = _refusal(context, inputs, task, found)
        if refusal:
            why = refusal
            if each.is_own:
                context.on_note(f"not continuing: the checkpoint {refusal}")
            continue
        _unpack(state, found, task.readers)
        if state.epoch >= first:
            context.on_note(f"continuing after epoch {state.epoch}")
        elif state.epoch < first - 1:
            context.on_note(f"going on after epoch {state.epoch}: the state to branch from {why}")
        return state, [list(item) for item in found.values["reads"]]
    if task.stage.spec["start"]:
        context.on_note(f"starting with the first epoch: the state to branch from {why}")
    return state, []


def _candidates(context: Context, task: TrainTask) -> Iterator[_Candidate]:
    """Yield where states of this training may lie.

    Where states are not shared, that is its own checkpoint and the state that it branches from.
    """
    path, own = task.stage.spec["path"], context.checkpoint_folder(task.stage.key)
    checkpoints = own.parent.iterdir() if own.parent.is_dir() else ()
    for folder in checkpoints if context.share_states else (own,):
        values = describe_checkpoint(folder)
        if values is not None and lies_on(path, values["segment"], values["epoch"]):
            yield _Candidate(values["epoch"], folder, folder == own)
    start = task.stage.spec["start"]
    kept = context.artifact_path("states/any").parent
    names = [each.name for each in kept.iterdir()] if kept.is_dir() else []
    for name in names if context.share_states else [start.removeprefix("states/")]:
        place = place_of_state(name)
        if place is not None and lies_on(path, *place):
            yield _Candidate(place[1], context.artifact_path(f"states/{name}"))


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
            "segment": segment_at(task.stage.spec["path"], state.epoch),
            "readers": sorted(task.readers),
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

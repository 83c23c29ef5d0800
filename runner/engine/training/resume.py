"""Where a training begins: its checkpoint, a state that another training left, or nothing.

Owns what a state holds, and which is gone on from; why one must not be is told beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from runner.artifacts.state_folder import mark_used
from runner.artifacts.states import StoredState
from runner.components.resolved import typed_settings
from runner.core.artifacts import weights_name
from runner.core.reader import (
    Reader,
    ReaderState,
    epochs_to_keep,
    kept_epochs,
    replayed,
    weights_of,
)
from runner.core.records import EpochRange, as_lists
from runner.core.stages import Train
from runner.engine.context import Context
from runner.engine.fetching import read_fetched
from runner.engine.job import StageJob
from runner.engine.network.build import Network, load_state, own_state
from runner.engine.network.whole_weights import whole_weights
from runner.engine.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    prefixed,
    restore_optimizer,
    unprefixed,
)
from runner.engine.training.refusals import HINT, is_unwanted, limit_of, refusal_of
from runner.engine.training.snapshot import copied, on_host
from runner.engine.training.state import StartedEpoch, TrainState


def find_start(
    context: Context,
    network: Network,
    inputs: Mapping[str, str],
    task: StageJob[Train],
    states: Sequence[StoredState],
) -> tuple[TrainState, list[EpochRange]]:
    """Return the furthest state from which the training may go on, and what was read before it.

    That is a state on its path: of its own checkpoint, of a checkpoint that another training of the
    same epochs left, or one that was kept at an end or a branch. A branch whose parent's state
    cannot be used may begin with the first epoch, as its settings hold for all epochs of its path.

    Args:
        context: of the stage.
        network: with its initial weights, or those of a state yet to come; gets the state's.
        inputs: digests of what the training sees.
        task: the training.
        states: those on its path, the furthest first.
    """
    settings = typed_settings(task.stage.settings)
    optimizer = settings.train.optimizer.build(list(network.trainable()))
    fresh = {name: ReaderState() for name in task.stage.readers}
    state = TrainState(network, optimizer, fresh)
    first, why, refused = task.stage.first_epoch, "is gone or damaged", dict[str, str]()
    for each in states:
        mark_used(each.folder)
        found = load_checkpoint(each.folder)
        if found is None or is_unwanted(task, found):
            continue
        written = _whole_weights(context, task, found)
        refusal = refusal_of(context, inputs, task, found, written)
        if refusal:
            if each.stage == task.stage.key:  # two of its own may lie there
                refused[refusal.removesuffix(HINT)] = refusal
            why = refusal
            continue
        _tell(context, refused.values())
        _unpack(state, found, task.stage.readers)
        state.written = written
        if state.started is not None:
            at = f"epoch {state.epoch + 1} after step {state.started.steps}"
            context.on_note(f"continuing in {at}")
        elif state.epoch >= first:
            context.on_note(f"continuing after epoch {state.epoch}")
        elif state.epoch < first - 1:
            context.on_note(f"going on after epoch {state.epoch}: the state to branch from {why}")
        return state, [EpochRange(*each) for each in found.values["reads"]]
    _tell(context, refused.values())
    if task.stage.start:
        context.on_note(f"starting with the first epoch: the state to branch from {why}")
    return state, []


def _tell(context: Context, refused: Iterable[str]) -> None:
    for refusal in refused:
        context.on_note(f"not continuing: the checkpoint {refusal}")


def _whole_weights(context: Context, task: StageJob[Train], found: Checkpoint) -> dict[str, str]:
    """Return the digests of the weights of satisfied readers that are written, by artifact."""
    mine = {
        each for name, reader in task.stage.readers.items() for each in weights_of(name, reader)
    }
    whole: dict[str, str] = {}
    for name, digest in found.values["written"].items():
        if name in mine and read_fetched(context, name, partial(whole_weights, digest=digest)):
            whole[name] = digest
    return whole


def only_on_disk(
    context: Context, task: StageJob[Train], state: TrainState
) -> dict[int, tuple[Path, str]]:
    """Return where weights lie, and their digests, that satisfied readers have written, by epoch.

    Those that the state holds are left out.
    """
    found: dict[int, tuple[Path, str]] = {}
    for name, reader in state.readers.items():
        for which, epoch in kept_epochs(task.stage.readers[name], reader).items():
            artifact = weights_name(name, which)
            if epoch not in state.best and artifact in state.written:
                path = context.artifact_path(artifact)
                found.setdefault(epoch, (path, state.written[artifact]))
    return found


def with_written(checkpoint: Checkpoint, written: Mapping[int, tuple[Path, str]]) -> Checkpoint:
    """Return a state that also holds weights that lie on the disk, as far as they are whole.

    Later readers may call the same epochs their best.

    Args:
        checkpoint: the state.
        written: as :func:`only_on_disk` returns them.
    """
    tensors, epochs = dict(checkpoint.tensors), set(checkpoint.values["best_epochs"])
    for epoch, (path, digest) in written.items():
        if weights := whole_weights(path, digest):
            tensors |= prefixed(f"best.{epoch}", weights)
            epochs.add(epoch)
    return Checkpoint(tensors, {**checkpoint.values, "best_epochs": sorted(epochs)})


def packed(
    context: Context,
    inputs: Mapping[str, str],
    task: StageJob[Train],
    state: TrainState,
    reads: Sequence[EpochRange],
    goes_on: bool,
    started: StartedEpoch | None = None,
) -> Checkpoint:
    """Return all that a training needs to go on, in tensors that it does not change any more.

    Args:
        context: of the invocation.
        inputs: digests of what is trained on.
        task: the training.
        state: where it stands; the weights that readers keep are never changed, nor copied.
        reads: the epochs so far.
        goes_on: whether network and optimizer change later, and are copied; else the training is
            over or stopped, and what lay on a GPU gives way to the next.
        started: the steps taken of the next epoch, where it was stopped within one.
    """
    tensors, others = optimizer_tensors(state.optimizer)
    live = {**prefixed("network", own_state(state.network)), **prefixed("optimizer", tensors)}
    best: dict[str, Any] = {}
    for epoch, weights in state.best.items():
        best |= prefixed(f"best.{epoch}", weights)
    epoch, within = state.epoch, dict[str, Any]()
    if started is not None:
        best |= prefixed("sums", {str(at): each for at, each in enumerate(started.sums)})
        within = {"started": {**asdict(started), "sums": None}}  # which are tensors
        epoch += 1
    return Checkpoint(
        tensors={**copied(live), **best} if goes_on else on_host({**live, **best}),
        values={
            **within,
            "epoch": state.epoch,
            "segment": _segment_of(task.stage, epoch),
            "readers": sorted(task.stage.readers),
            "history": list(state.history),  # which grows while this is written
            "first_mean": state.first_mean,
            "best_epochs": sorted(state.best),
            "optimizer": others,
            "reads": as_lists(reads),
            "inputs": dict(inputs),
            "numerics": dict(context.numerics),
            "diverged_if": limit_of(task),
            "written": dict(state.written),
        },
    )


def _segment_of(stage: Train, epoch: int) -> str:
    segment = stage.trajectory.segment_at(epoch)
    assert segment is not None, "a state outside its trajectory"
    return segment.key


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
    state.readers = replayed(readers, state.history)
    if "started" in values:
        sums = unprefixed("sums", tensors)
        given = values["started"]
        state.started = StartedEpoch(
            losses=tuple(given["losses"]),
            sizes=tuple(given["sizes"]),
            images=given["images"],
            sums=tuple(sums[str(at)] for at in range(len(sums))),
            seconds=given["seconds"],
        )
    wanted = epochs_to_keep(readers, state.readers)
    state.best = {
        epoch: {
            name: each.to(device) for name, each in unprefixed(f"best.{epoch}", tensors).items()
        }
        for epoch in values["best_epochs"]
        if epoch in wanted
    }

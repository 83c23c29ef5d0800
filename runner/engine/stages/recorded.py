"""Reading a training from recorded epochs instead of doing it.

Owns what is looked at before: that the images are those of the record, and that the weights are
whole. What the readers make of the epochs is what they make of them in a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from torch import Tensor

from runner.components.resolved import typed_settings
from runner.core.artifacts import kind_of
from runner.core.plan import Record
from runner.core.reader import epochs_to_keep, replayed
from runner.core.stages import Train
from runner.engine.context import Context
from runner.engine.fetching import read_fetched
from runner.engine.job import StageJob
from runner.engine.network.build import Network
from runner.engine.network.whole_weights import whole_weights
from runner.engine.training.checkpoint import load_checkpoint, unprefixed
from runner.engine.training.state import TrainState


def read_record(
    context: Context,
    network: Network,
    inputs: Mapping[str, str],
    task: StageJob[Train],
    record: Record,
) -> TrainState | None:
    """Return where the readers stand at the end of what they read of a record, with their weights.

    The weights of the network are not looked at. None, which is said, where the images are now
    others, or weights that lay on the disk are gone or damaged.
    """
    if record.inputs.get("pixels") != inputs["pixels"]:
        context.on_note("training what is recorded: it was made with other pixels")
        return None
    history = record.history[: task.stage.trajectory.common_epochs(record.trajectory)]
    readers = replayed(task.stage.readers, history)
    finished = {name: state for name, state in readers.items() if state.finished}
    best: dict[int, dict[str, Tensor]] = {}
    for epoch in sorted(epochs_to_keep(task.stage.readers, finished)):
        best[epoch] = _weights(context, epoch, record.kept.get(epoch, ()))
        if not best[epoch]:
            context.on_note(
                f"training what is recorded: the weights of epoch {epoch} are gone or damaged"
            )
            return None
    last = max(state.epoch for state in readers.values())
    context.on_note(f"read epochs 1–{task.stage.recorded} as recorded: nothing is trained")
    optimizer = typed_settings(task.stage.settings).train.optimizer.build(list(network.trainable()))
    return TrainState(
        network, optimizer, readers, [dict(each) for each in history[:last]], best=best
    )


def _weights(
    context: Context, epoch: int, candidates: Sequence[tuple[str, str]]
) -> dict[str, Tensor]:
    """Return the weights after an epoch from the first candidate that is whole, or none."""
    for name, digest in candidates:
        if kind_of(name) == "weights":
            tensors = read_fetched(context, name, partial(whole_weights, digest=digest))
        elif (state := read_fetched(context, name, load_checkpoint)) is not None:
            own = "network" if state.values["epoch"] == epoch else f"best.{epoch}"
            tensors = unprefixed(own, state.tensors)
        else:
            continue
        if tensors:
            return tensors
    return {}

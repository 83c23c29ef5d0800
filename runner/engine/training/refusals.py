"""Why a training must not go on from a state that lies on its path.

By what the state says of itself, and of what this machine and the training are now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from runner.artifacts.state_folder import steps_of
from runner.core.reader import epochs_to_keep, replayed, unwritten
from runner.core.stages import Train
from runner.engine.context import Context
from runner.engine.job import StageJob
from runner.engine.training.checkpoint import Checkpoint
from runner.engine.training.stored import has_equal_numerics, may_mix

HINT = " (--accept-mixed goes on)"
"""Not of a state within an epoch, which never mixes."""


def is_unwanted(task: StageJob[Train], found: Checkpoint) -> bool:
    """Return whether a state lies within an epoch that no reader wants."""
    if "started" not in found.values:
        return False
    readers = replayed(task.stage.readers, found.values["history"])
    return all(reader.finished for reader in readers.values())


def refusal_of(
    context: Context,
    inputs: Mapping[str, str],
    task: StageJob[Train],
    found: Checkpoint,
    written: Collection[str],
) -> str:
    """Return why a checkpoint must not be continued, or "".

    Args:
        context: of the invocation.
        inputs: digests of what the training would see.
        task: the training.
        found: the checkpoint.
        written: weights of satisfied readers that it need not hold.
    """
    values = found.values
    hint = "" if context.accept_mixed or steps_of(values) else HINT
    if not has_equal_numerics(context, values):
        return f"was made with another device, torch, engine or threads{hint}"
    if values["inputs"]["pixels"] != inputs["pixels"]:
        return "was made with other pixels (another Pillow decoded them)"
    if values["inputs"]["features"] != inputs["features"] and not may_mix(context, values):
        return f"was made with other frozen features, or without{hint}"
    if values["diverged_if"] > limit_of(task):
        return "was made under a higher limit of divergence"
    readers = replayed(task.stage.readers, values["history"])
    waiting = unwritten(task.stage.readers, readers, written)
    wanted = epochs_to_keep(task.stage.readers, waiting) - {0}  # 0: of no epoch yet
    if not wanted <= set(values["best_epochs"]):
        return "keeps the weights of other epochs than are wanted"
    if not task.can_continue(values["reads"]):
        return "speaks of epochs that the database lacks"
    return ""


def limit_of(task: StageJob[Train]) -> float:
    """Return the limit of divergence that all readers of a training have in common."""
    (limit,) = {reader.diverged_if for reader in task.stage.readers.values()}
    return limit

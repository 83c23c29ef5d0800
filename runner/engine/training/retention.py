"""Keeping weights, checkpoints and states on a disk that may be full.

A state only saves work: what cannot be kept is computed again. Owns what gives way to what; knows
nothing of what a state holds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runner.core.errors import is_full_disk
from runner.core.moments import reached
from runner.core.stages import Stage
from runner.engine.context import Context
from runner.engine.training.checkpoint import Checkpoint, save_checkpoint

T = TypeVar("T")


def keep_state(context: Context, stage: Stage, name: str, state: Checkpoint) -> None:
    """Keep a state as an artifact, within the limit of the cache.

    On a full disk, states that this plan does not need give way first. A state from which no stage
    of the plan goes on is kept only as far as there is room. Where nothing goes on from states,
    only those are kept with which the plan's branches begin.

    Raises:
        OSError: when the disk is full and the plan needs the state.
    """
    is_needed = name in stage.produces
    if not context.share_states and not is_needed:
        return
    folder = context.artifact_path(name)
    if context.cache is not None:
        size = sum(each.numel() * each.element_size() for each in state.tensors.values())
        if not context.cache.make_room(folder, size) and not is_needed:
            return
    try:
        with_room(context, lambda: save_checkpoint(folder, state), folder)
        reached("state whole, not recorded")
    except OSError as error:
        if is_needed or not is_full_disk(error):
            raise
        context.on_note("the disk is full: no later training can go on from the end of this one")


def with_room(context: Context, write: Callable[[], T], folder: Path | None = None) -> T:
    """Write something; on a full disk, once more without the states that the plan does not need.

    Args:
        context: of the stage.
        write: writes it, or raises OSError and leaves nothing.
        folder: of a state, which stays if it is there.

    Raises:
        OSError: when it does not fit even then.
    """
    try:
        return write()
    except OSError as error:
        if context.cache is None or not is_full_disk(error):
            raise
    context.cache.give_up_states(folder)
    return write()

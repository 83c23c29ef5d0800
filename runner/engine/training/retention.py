"""Keeping weights, checkpoints and states on a disk that may be full.

A state only saves work: what cannot be kept is computed again. Owns what gives way to what; knows
nothing of what a state holds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runner.artifacts.cache import ON_A_FULL_DISK
from runner.core.errors import ClaimLost, is_full_disk
from runner.core.moments import reached
from runner.core.stages import Stage, Train
from runner.engine.context import Context
from runner.engine.training.checkpoint import Checkpoint, save_checkpoint

T = TypeVar("T")


def is_kept(context: Context, stage: Train, name: str) -> bool:
    """Return whether a state is kept, where there is room.

    Where nothing goes on from states, only those are with which the plan's branches begin; of a
    training that shares nothing, none.
    """
    if stage.unshared.training:
        return False
    return context.share_states or name in stage.produces


def keep_state(
    context: Context,
    stage: Stage,
    name: str,
    state: Checkpoint,
    check: Callable[[], None] = lambda: None,
) -> str:
    """Keep a state as an artifact, within the limit of the cache.

    On a full disk, changed images and states that this plan does not need give way first. A state
    from which no stage of the plan goes on is kept only as far as there is room.

    Args:
        context: of the stage.
        stage: at whose end it is.
        name: of the artifact.
        state: what is kept.
        check: called before it takes its place; what it raises leaves nothing.

    Returns:
        What a person should know, or "".

    Raises:
        OSError: when it cannot be written; on a full disk, only when the plan needs it.
        ClaimLost: when another process took the stage over.
    """
    is_needed = name in stage.produces
    folder = context.artifact_path(name)
    if context.cache is not None:
        size = sum(each.numel() * each.element_size() for each in state.tensors.values())
        if not context.cache.make_room(folder, size) and not is_needed:
            return ""
    try:
        with_room(context, lambda: save_checkpoint(folder, state, check), folder)
        reached("state whole, not recorded")
    except OSError as error:
        if is_needed or not is_full_disk(error):
            raise
        return "the disk is full: no later training can go on from the end of this one"
    return ""


def told(write: Callable[[], str]) -> str:
    """Write what only saves work; return what a person should know, or ""."""
    try:
        return write()
    except ClaimLost:
        return ""
    except Exception as error:
        return f"the state at the end of a training is not kept: {type(error).__name__}: {error}"


def with_room(context: Context, write: Callable[[], T], folder: Path | None = None) -> T:
    """Write something; on a full disk, once more without what only saves time, kind by kind.

    Changed images go first, then the states that the plan does not need.

    Args:
        context: of the stage.
        write: writes it, or raises OSError and leaves nothing.
        folder: of a state, which stays if it is there.

    Raises:
        OSError: when it does not fit even then.
    """
    for kind in ON_A_FULL_DISK if context.cache is not None else ():
        try:
            return write()
        except OSError as error:
            if not is_full_disk(error):
                raise
        assert context.cache is not None
        context.cache.give_up(kind, folder)
    return write()

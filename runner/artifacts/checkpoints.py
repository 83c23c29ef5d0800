"""Checkpoints of trainings, here and in the shared store: what replaces what, and when they go.

A training has two at most: after an epoch, and within one, where it was asked to stop. Knows
neither what is in them nor from which a training goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from runner.artifacts.exchange import forget, share
from runner.artifacts.folder import Artifacts
from runner.artifacts.state_folder import (
    describe_state,
    read_description,
    remove_state,
    steps_of,
)
from runner.core.artifacts import checkpoint_names

ALIKE = ("numerics", "inputs")
"""What two states have in common either of which a training may go on from."""


def share_checkpoint(
    artifacts: Artifacts, stage_key: str, within: bool, check: Callable[[], None] = lambda: None
) -> None:
    """Have a checkpoint that has just been written put to the shared store, as what counts now.

    One takes the place of its like there, unless that is further and serves this machine too. One
    after an epoch also removes the one within an epoch, here and there; but one there that is
    further stays, as another machine that rounds otherwise may go on from it.

    Args:
        artifacts: of the database.
        stage_key: of the training.
        within: whether it is the one within an epoch.
        check: called before it takes its place; raises ClaimLost where it must not.
    """
    after_name, within_name = checkpoint_names(stage_key)
    name = within_name if within else after_name
    here = describe_state(artifacts.path(name))
    if not within:
        remove_state(artifacts.path(within_name))
    if here is None:  # another process has removed it
        return

    def is_further(text: str, alike: Sequence[str] = ()) -> bool:
        there = read_description(text)
        return (
            there is not None
            and _place(there) > _place(here)
            and all(there[each] == here[each] for each in alike)
        )

    if within:
        share(artifacts, within_name, check, lambda text: is_further(text, ALIKE))
    else:
        share(artifacts, after_name, check, lambda text: is_further(text, ALIKE))
        forget(artifacts, within_name, check, is_further)


def _place(values: Mapping[str, Any]) -> tuple[int, int]:
    """Return the epoch of a state, and the steps of the next one."""
    return values["epoch"], steps_of(values)


def remove_checkpoints(artifacts: Artifacts, stage_keys: Collection[str]) -> None:
    """Remove the checkpoints of these trainings, here and in the shared store."""
    for name in (name for key in stage_keys for name in checkpoint_names(key)):
        remove_state(artifacts.path(name))
        forget(artifacts, name)

"""The states that lie on a training's path, and what they would give to it.

Reads what the states say of themselves; whether one is whole, and may be gone on from, is decided
where it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from runner.artifacts.state_folder import describe_state
from runner.artifacts.states import StoredState, stored_states
from runner.core.artifacts import ArtifactName
from runner.core.stages import Train
from runner.engine.context import Context
from runner.engine.job import StageJob
from runner.engine.training.checkpoint import unprefixed


def states_on_path(context: Context, task: StageJob[Train]) -> list[StoredState]:
    """Return the states that this training may go on from, the furthest first.

    Where states are not shared, that is its own checkpoint and the state that it branches from.
    """
    stage = task.stage
    context.writer.settle(lambda name: _lies_on_path(stage, name))
    start = context.artifact_path(stage.start) if stage.start else None
    usable = [
        state
        for state in stored_states(context.artifacts)
        if stage.trajectory.contains(state.segment, state.epoch)
        and (context.share_states or state.stage == stage.key or state.folder == start)
    ]
    return sorted(usable, key=lambda state: (-state.epoch, state.stage != stage.key))


def tensors_at_start(context: Context, states: Sequence[StoredState]) -> frozenset[str]:
    """Return the names of the weights that a training seems to begin with, none without a state.

    They need not be drawn before :func:`find_start`, which alone tells whether a state is whole and
    may be gone on from.
    """
    for each in states:
        values = describe_state(each.folder)
        if values is None or not has_equal_numerics(context, values):
            continue
        try:
            with safe_open(each.folder / values["file"], "pt") as file:
                names = list(file.keys())
        except (OSError, SafetensorError):
            continue
        return frozenset(unprefixed("network", dict.fromkeys(names, torch.empty(0))))
    return frozenset()


def has_equal_numerics(context: Context, values: Mapping[str, Any]) -> bool:
    """Return whether a state, by what it says of itself, was made with numerics that will do."""
    return values["numerics"] == dict(context.numerics) or context.accept_mixed


def _lies_on_path(stage: Train, name: str) -> bool:
    state = ArtifactName.parse(name)
    return stage.trajectory.contains(state.key, state.epoch)

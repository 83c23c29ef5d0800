"""The states that lie on a training's path, and what they would give to it.

Reads what the states say of themselves; whether one is whole, and may be gone on from, is decided
where it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from runner.artifacts.state_folder import describe_state, steps_of
from runner.artifacts.states import StoredState, every_state, states_elsewhere
from runner.core.artifacts import ArtifactName
from runner.core.stages import Train
from runner.engine.context import Context
from runner.engine.fetching import fetched
from runner.engine.job import StageJob
from runner.engine.training.checkpoint import unprefixed


def states_on_path(context: Context, task: StageJob[Train]) -> list[StoredState]:
    """Return the states that this training may go on from, the furthest first.

    Where states are not shared, that is its own checkpoint and the state that it branches from.
    One that lies further in the store of several machines is brought here before.
    """
    stage = task.stage
    context.writer.settle(lambda name: _lies_on_path(stage, name))
    _fetch_further(context, stage)
    usable = [each for each in every_state(context.artifacts) if _may_use(context, stage, each)]
    return sorted(usable, key=lambda each: (-each.epoch, -each.steps, each.stage != stage.key))


def _may_use(context: Context, stage: Train, state: StoredState) -> bool:
    start = context.artifact_path(stage.start) if stage.start else None
    epoch = state.epoch + (state.steps > 0)  # that its network has seen images of
    return stage.trajectory.contains(state.segment, epoch) and (
        context.share_states or state.stage == stage.key or state.folder == start
    )


def _fetch_further(context: Context, stage: Train) -> None:
    """Bring the furthest state from the shared store, if it is further than what lies here.

    One within an epoch may turn out not to do: then it costs no more than it saves, as the furthest
    one after an epoch is brought too.
    """
    if context.shared is None:
        return
    here = [
        (state.epoch, state.steps)
        for state in every_state(context.artifacts)
        if _may_use(context, stage, state)
        and (values := describe_state(state.folder)) is not None
        and has_equal_numerics(context, values)
    ]
    furthest = max(here, default=(0, 0))
    segments = {segment.key for segment in stage.trajectory.segments}
    there = [
        ((state.epoch, state.steps), state.name)
        for state, values in states_elsewhere(context.artifacts, segments, stage.key, fresh=True)
        if _may_use(context, stage, state) and has_equal_numerics(context, values)
    ]
    has_one_within = False
    for place, name in sorted(there, reverse=True):
        is_within = place[1] > 0
        if place <= furthest:
            return
        if is_within and has_one_within:
            continue
        if fetched(context, name):
            if not is_within:
                return
            has_one_within = True


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
    return values["numerics"] == dict(context.numerics) or may_mix(context, values)


def may_mix(context: Context, values: Mapping[str, Any]) -> bool:
    """Return whether a state may be gone on from under other numerics, by what it says of itself.

    Of steps within an epoch, no record would tell how they were computed.
    """
    return context.accept_mixed and steps_of(values) == 0


def _lies_on_path(stage: Train, name: str) -> bool:
    state = ArtifactName.parse(name)
    return stage.trajectory.contains(state.key, state.epoch)

"""How long it takes from the beginning of each stage to the end of what needs it."""

from __future__ import annotations

import statistics

from runner.core.plan import Facts, Plan
from runner.core.stages import Stage

GUESS = 1.0
"""Seconds of an epoch, or of a stage without epochs, where nothing was ever measured."""


def stage_seconds(plan: Plan, facts: Facts) -> dict[str, float]:
    """Return the predicted seconds of each stage.

    Of what was never measured they are those of an epoch (or a pass) of what was.
    """
    known = [
        facts.seconds[stage.cost_key] for stage in plan.stages if stage.cost_key in facts.seconds
    ]
    guess = statistics.fmean(known) if known else GUESS
    return {
        stage.key: facts.seconds.get(stage.cost_key, guess) * stage.cost_units
        for stage in plan.stages
    }


def seconds_to_end(plan: Plan, facts: Facts) -> dict[str, float]:
    """Return the predicted seconds from the beginning of each stage to the end of the last of all
    stages that wait for it, one behind the other.

    Who works on what is longest first, ends first.
    """
    own = stage_seconds(plan, facts)
    longest = dict(own)
    for stage in reversed(plan.stages):  # parents stand first
        for need in _needed(stage, own):
            longest[need] = max(longest[need], own[need] + longest[stage.key])
    return longest


def _needed(stage: Stage, planned: dict[str, float]) -> list[str]:
    return [need for need in stage.needs if need in planned]

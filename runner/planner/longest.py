"""How long it takes to the end: from each stage on, and of a whole plan with several workers."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Mapping, Sequence

from runner.core.plan import Facts, Plan
from runner.core.stages import AfterTraining, Stage

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


def order_of(stages: Sequence[Stage], longest: Mapping[str, float]) -> tuple[bool, float]:
    """Return what stages that are done together are sorted by, those to be begun first in front.

    What looks at a trained network comes before all else, as it ends a run and takes little.
    """
    first = all(isinstance(stage, AfterTraining) for stage in stages)
    return not first, -max(longest[stage.key] for stage in stages)


def _needed(stage: Stage, planned: dict[str, float]) -> list[str]:
    return [need for need in stage.needs if need in planned]


def seconds_with(plan: Plan, facts: Facts, workers: int) -> float:
    """Return the predicted seconds of a plan that several workers carry out.

    Each takes what is ready in the order of :func:`order_of`, as workers do; trainings that are
    done together are one piece of work. Starting a worker and waiting for the disk do not count.

    Args:
        plan: the plan.
        facts: seconds that were measured.
        workers: how many, at least 1.
    """
    own, rank = stage_seconds(plan, facts), seconds_to_end(plan, facts)
    group_of = {key: each.stages[0] for each in plan.cohorts for key in each.stages}
    members: dict[str, list[Stage]] = {}
    for stage in plan.stages:
        members.setdefault(group_of.get(stage.key, stage.key), []).append(stage)
    waits: dict[str, set[str]] = {}
    for name, stages in members.items():
        needs = {group_of.get(need, need) for stage in stages for need in _needed(stage, own)}
        waits[name] = needs - {name}
    wanted_by: dict[str, list[str]] = {}
    for name, needs in waits.items():
        for need in needs:
            wanted_by.setdefault(need, []).append(name)
    place = {name: number for number, name in enumerate(members)}

    def ranked(name: str) -> tuple[tuple[bool, float], int, str]:
        return order_of(members[name], rank), place[name], name

    ready = [ranked(name) for name, needs in waits.items() if not needs]
    heapq.heapify(ready)
    at_work: list[tuple[float, str]] = []
    now = 0.0
    while ready or at_work:
        while ready and len(at_work) < workers:
            _, _, name = heapq.heappop(ready)
            takes = sum(own[stage.key] for stage in members[name])
            heapq.heappush(at_work, (now + takes, name))
        now, ended = heapq.heappop(at_work)
        for name in wanted_by.get(ended, ()):
            waits[name].discard(ended)
            if not waits[name]:
                heapq.heappush(ready, ranked(name))
    return now

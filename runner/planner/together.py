"""The rule that trains together what sees the same batches: step by step, each as it would alone.

Owns which trainings share enough for that, and how many at once. What each of them computes and
records does not change, so neither do stages, keys and epochs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.core.plan import Cohort, Facts, Plan
from runner.core.stages import Stage, Train, multiply_adds_a_step
from runner.core.text import listed

MOST = 16
"""Trainings that are done together at most: none of them has a result before all are far."""

MEMORY_SHARE = 0.5
"""Share of the memory that states and logits of trainings done together may take."""

LIGHT = 1 << 24
"""Multiply-adds of one image up to which a network is so light that augmenting images counts."""


def train_together(plan: Plan, facts: Facts) -> Plan:
    """Do trainings of the same batches together, where these are costly.

    Costly is what each would do for itself in every step: augmenting the images, and computing the
    frozen beginning of the network, where that is not done once for all epochs.
    """
    depths = _depths(plan.stages)
    groups: dict[Hashable, list[Train]] = {}
    for stage in plan.stages:
        if isinstance(stage, Train) and _shared_cost(stage):
            groups.setdefault((depths[stage.key], *_alike(stage, facts)), []).append(stage)
    places = {stage.key: place for place, stage in enumerate(plan.stages)}
    cohorts = []
    for group in groups.values():
        for members in _together(group, facts):
            keys = sorted((stage.key for stage in members), key=places.__getitem__)
            why = f"{len(keys)} trainings share {_shared_cost(members[0])}"
            cohorts.append(Cohort(tuple(keys), why))
    cohorts.sort(key=lambda cohort: places[cohort.stages[0]])
    return replace(plan, cohorts=tuple(cohorts))


def _shared_cost(stage: Train) -> str:
    """Return in words what a training would share in every step, "" where that costs little."""
    if not stage.stream or stage.recorded is not None or not stage.epochs:
        return ""
    if stage.trains_on_features:
        return ""
    prefix = stage.prefix
    is_frozen = prefix is not None and bool(prefix.key)
    augments = bool(_train_settings(stage).get("augment"))
    if is_frozen:
        frozen = "the output of their frozen layers"
        return f"augmented images and {frozen}" if augments else frozen
    return "augmented images" if augments and 0 < stage.multiply_adds <= LIGHT else ""


def _train_settings(stage: Train) -> dict[str, Any]:
    return dict(stage.settings.json.get("train", {}))


def _alike(stage: Train, facts: Facts) -> tuple[Hashable, ...]:
    """Return what trainings must have in common to be done together."""
    return (
        stage.stream,
        stage.pixels_key,
        stage.prefix.key if stage.prefix is not None else "",
        stage.on_features,
        _train_settings(stage).get("precision"),
        facts.threads.get(work := multiply_adds_a_step(stage), work),
    )


def _depths(stages: Iterable[Stage]) -> dict[str, int]:
    """Return how many planned trainings come before each stage, one behind the other.

    Those of one depth need none of one another; a cohort of greater depth never comes before one.
    """
    depths: dict[str, int] = {}
    for stage in stages:  # parents first
        before = [depths[need] for need in stage.needs if need in depths]
        depths[stage.key] = max(before, default=0) + isinstance(stage, Train)
    return depths


def _together(group: Sequence[Train], facts: Facts) -> Iterator[list[Train]]:
    """Yield the trainings of a group that are done together, two at least.

    Who was stopped behind the others catches up by itself, while they wait: as long as none waits
    for more epochs than it has left.
    """
    near: list[list[Train]] = []
    for stage in sorted(group, key=_next_epoch):
        if near and _next_epoch(stage) - _next_epoch(near[-1][0]) <= stage.epochs:
            near[-1].append(stage)
        else:
            near.append([stage])
    for members in near:
        parts = math.ceil(len(members) / _most(members, facts))
        size = math.ceil(len(members) / parts)
        for start in range(0, len(members), size):
            part = members[start : start + size]
            if len(part) > 1:
                yield part


def _next_epoch(stage: Train) -> int:
    return stage.last_epoch - stage.epochs + 1


def _most(members: Iterable[Train], facts: Facts) -> int:
    """Return how many of some trainings may be done together, at least 1.

    Each has its state in memory, and the logits that it holds until it ends. What a step needs
    beside them, gradients too, is freed before the next training's step.
    """
    largest = max(stage.state_bytes + stage.held_bytes for stage in members)
    if facts.memory is None or not largest:
        return MOST
    return max(1, min(MOST, int(facts.memory * MEMORY_SHARE) // largest))


@dataclass(frozen=True, slots=True)
class Together:
    """Trainings that are done together.

    Attributes:
        stages: their keys.
        runs: names of the runs that read them.
        why: what they share.
    """

    stages: tuple[str, ...]
    runs: tuple[str, ...]
    why: str

    def words(self) -> str:
        """Return it in one line."""
        return f"{listed(self.runs)}: {self.why}"


def trained_together(plan: Plan, names: Mapping[str, str]) -> Iterator[Together]:
    """Yield which runs' trainings are done together, and what they share.

    Args:
        plan: what is planned.
        names: of the runs, by key.
    """
    readers: dict[str, list[str]] = {}
    for run, keys in plan.stages_by_run.items():
        for key in keys:
            readers.setdefault(key, []).append(names[run])
    for cohort in plan.cohorts:
        runs = dict.fromkeys(name for key in cohort.stages for name in readers[key])
        yield Together(cohort.stages, tuple(runs), cohort.why)

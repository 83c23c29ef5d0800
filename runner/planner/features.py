"""The rule that computes a frozen prefix once for all images instead of in every epoch.

Owns the stage that does so, which no naive plan has, and what it changes for the stages behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runner.core.keys import content_key
from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import Evaluate, ExtractFeatures, SeesImages, Stage


def use_frozen_features(plan: Plan, facts: Facts) -> Plan:
    """Compute the output of a frozen prefix once for all images, and train on that.

    Features that together would take more than the cache may hold are left to be computed in every
    epoch. Those that lie on the disk already are used in any case, and take their part of the room.
    """
    made = features_of(plan.stages)
    if not made:
        return plan
    stages: list[Stage] = []
    used: set[str] = set()
    decisions: list[Decision] = []
    room = facts.cache_limit
    for stage in plan.stages:
        user = _user_of_prefix(stage)
        if user is None or user.prefix is None:
            stages.append(stage)
            continue
        features = made[user.prefix.key]
        (name,) = features.produces
        there = name in facts.artifacts
        size = features.num_bytes or 0
        if features.key not in used:
            if not there and isinstance(user, Evaluate) and user.epoch_number is not None:
                stages.append(stage)  # of a finished run: one split is less than all images
                continue
            if size > room and not there:
                why = f"frozen features of {size:,} bytes are over the limit of the cache"
                decisions.append(Decision("use_frozen_features", stage.key, why))
                stages.append(stage)
                continue
            if features.key in facts.done and not there:
                why = f"done before, but {name} is no longer whole on disk"
                decisions.append(Decision("use_frozen_features", features.key, why))
            room -= size
            if not (there and features.key in facts.done):
                stages.append(features)
        used.add(features.key)
        stages.append(_on_features(user, features))
    return replace(
        plan,
        stages=tuple(stages),
        stages_by_run=_with_features(plan, stages, used),
        decisions=(*plan.decisions, *decisions),
    )


def features_of(stages: Iterable[Stage]) -> dict[str, ExtractFeatures]:
    """Return the stages that would compute the prefixes of these once, by the key of the prefix."""
    made: dict[str, ExtractFeatures] = {}
    for stage in stages:
        user = _user_of_prefix(stage)
        if user is None or user.prefix is None or user.prefix.key in made:
            continue
        made[user.prefix.key] = ExtractFeatures(
            key=content_key("stage", user.prefix.key),
            needs=user.needs[:1],
            cost_key=content_key("cost", ["features", user.prefix.key]),
            num_bytes=user.prefix.num_bytes,
            settings=user.settings,
            pixels_key=user.pixels_key,
            prefix=user.prefix,
        )
    return made


def _user_of_prefix(stage: Stage) -> SeesImages | None:
    """Return a stage that could see features instead of images, None where it cannot or does."""
    if not isinstance(stage, SeesImages):
        return None
    is_fixed = stage.prefix is not None and stage.prefix.views is not None
    return stage if is_fixed and not stage.on_features else None


def _on_features(stage: SeesImages, features: ExtractFeatures) -> Stage:
    cost_key = content_key("cost", [stage.cost_key, "features"]) if stage.cost_key else ""
    needs = (*stage.needs, features.key)
    return replace(stage, on_features=True, needs=needs, cost_key=cost_key)


def _with_features(plan: Plan, stages: list[Stage], used: set[str]) -> dict[str, tuple[str, ...]]:
    """Return what each run reads, with the features that its stages need before them."""
    features = {each.key: need for each in stages for need in each.needs if need in used}
    stages_by_run: dict[str, tuple[str, ...]] = {}
    for run, keys in plan.stages_by_run.items():
        chain: list[str] = []
        for key in keys:
            if key in features and features[key] not in chain:
                chain.append(features[key])
            chain.append(key)
        stages_by_run[run] = tuple(chain)
    return stages_by_run

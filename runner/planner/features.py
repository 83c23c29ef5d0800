"""The rule that computes a frozen prefix once for all images instead of in every epoch.

Owns the stage that does so, which no naive plan has, and what it changes for the stages behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from runner.core.keys import content_key
from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import Evaluate, ExtractFeatures, SeesImages, Stage, Train

RULE = "use_frozen_features"
TOO_FEW = (
    "frozen features of images that a training changes are not computed once:"
    " fewer are evaluated than there are"
)


def use_frozen_features(plan: Plan, facts: Facts) -> Plan:
    """Compute the output of a frozen prefix once for all images, and train and evaluate on that.

    Where training augments its images, or own code takes its steps, only what is evaluated is taken
    from there, and only where that saves more forward passes than it costs. Features that together
    would take more than the cache may hold are left to be computed in every epoch; those for whole
    trainings come first. Those that lie on the disk already are used in any case, and take their
    part of the room.
    """
    made = features_of(plan.stages)
    if not made:
        return plan
    left_out = _left_out(plan.stages, made, facts)
    stages: list[Stage] = []
    used: set[str] = set()
    decisions: list[Decision] = []
    for stage in plan.stages:
        user = _user_of_prefix(stage)
        if user is None or user.prefix is None:
            stages.append(stage)
            continue
        features = made[user.prefix.key]
        if user.prefix.key in left_out:
            if why := left_out[user.prefix.key]:
                decisions.append(Decision(RULE, stage.key, why))
            stages.append(stage)
            continue
        if features.key not in used:
            used.add(features.key)
            there = _lie_there(features, facts)
            if features.key in facts.done and not there:
                why = f"done before, but {features.prefix.name} is no longer whole on disk"
                decisions.append(Decision(RULE, features.key, why))
            if not (there and features.key in facts.done):
                stages.append(features)
        stages.append(_on_features(user, features))
    return replace(
        plan,
        stages=tuple(stages),
        stages_by_run=_with_features(plan, stages, used),
        decisions=(*plan.decisions, *decisions),
    )


def _left_out(
    stages: Iterable[Stage], made: Mapping[str, ExtractFeatures], facts: Facts
) -> dict[str, str]:
    """Return the prefixes that are computed in every epoch, by key, with what is to be said of it.

    Nothing is said of what only finished runs would use: one split is less than all images.
    """
    users: dict[str, list[SeesImages]] = {}
    for stage in stages:
        user = _user_of_prefix(stage)
        if user is not None and user.prefix is not None:
            users.setdefault(user.prefix.key, []).append(user)
    room = facts.cache_limit
    left_out: dict[str, str] = {}
    for key in sorted(users, key=lambda key: not any(map(_sees_only_features, users[key]))):
        features = made[key]
        there, size = _lie_there(features, facts), features.num_bytes or 0
        if not there and not any(map(_sees_only_features, users[key])):
            trainings = [each for each in users[key] if isinstance(each, Train)]
            share = sum(_evaluated(each) for each in trainings)
            if share <= 1:
                left_out[key] = TOO_FEW if trainings else ""
                continue
        if not there and size > room:
            left_out[key] = f"frozen features of {size:,} bytes are over the limit of the cache"
            continue
        room -= size
    return left_out


def _sees_only_features(user: SeesImages) -> bool:
    """Return whether a stage of a run without a result needs no image once it has features."""
    if isinstance(user, Evaluate) and user.epoch_number is not None:
        return False
    return user.prefix is not None and user.prefix.views is not None


def _evaluated(stage: Train) -> float:
    """Return how many images a training evaluates, as a share of the data set's.

    Its whole path counts, whatever of that is done: a training goes on as it began.
    """
    return stage.evaluated * stage.last_epoch


def _lie_there(features: ExtractFeatures, facts: Facts) -> bool:
    return features.prefix.name in facts.artifacts


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
            multiply_adds=user.multiply_adds,
            settings=user.settings,
            pixels_key=user.pixels_key,
            prefix=replace(user.prefix, views=user.prefix.stored_views),
        )
    return made


def _user_of_prefix(stage: Stage) -> SeesImages | None:
    """Return a stage that could see features instead of images, None where it cannot or does."""
    if not isinstance(stage, SeesImages):
        return None
    return stage if stage.prefix is not None and not stage.on_features else None


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

"""The rules of the planner. The tuple RULES at the foot is their order and their list.

A rule is a pure function from (plan, facts) to plan. It never changes what a run needs, only what
is computed for it. It may add a stage (features, a beginning in common) to save epochs or forwards.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from runner.core.keys import content_key
from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import Stage
from runner.planner.recorded import read_recorded_epochs
from runner.planner.resuming import (
    go_on_from_checkpoints,
    go_on_from_states,
    goes_on_behind_its_start,
)
from runner.planner.trajectories import share_trajectories

Rule = Callable[[Plan, Facts], Plan]


def merge_equal_stages(plan: Plan, facts: Facts) -> Plan:
    """Do each stage once, however many runs need it."""
    distinct: dict[str, Stage] = {}
    for stage in plan.stages:
        distinct.setdefault(stage.key, stage)
    return replace(plan, stages=tuple(distinct.values()))


def skip_finished_runs(plan: Plan, facts: Facts) -> Plan:
    """Leave out the stages that only runs with a result read."""
    wanted = {key for run, keys in plan.reads.items() if run not in facts.finished for key in keys}
    return _without(
        plan, [stage for stage in plan.stages if stage.key not in wanted], "its runs have results"
    )


def skip_after_divergence(plan: Plan, facts: Facts) -> Plan:
    """Leave out the stages that need one that diverged: there are no weights to look at."""
    without = set(facts.diverged)
    dropped: list[Stage] = []
    for stage in plan.stages:
        if without.intersection(stage.needs) and stage.spec.get("reading") not in facts.settled:
            without.add(stage.key)
            dropped.append(stage)
    return _without(plan, dropped, "what it needs diverged")


def skip_done_stages(plan: Plan, facts: Facts) -> Plan:
    """Leave out the stages that are done, unless a stage to do needs a product that is gone.

    A branch that was stopped and has a checkpoint no longer needs the state that it began from.
    """
    checkpoints = {start.stage: start for start in facts.starts if start.stage}
    kept: list[Stage] = []
    needed: set[str] = set()
    dropped: list[Stage] = []
    redone: list[Decision] = []
    for stage in reversed(plan.stages):
        missing = (name for name in stage.produces if name not in facts.artifacts)
        gone = [name for name in missing if name in needed]
        if stage.key in facts.done and not gone:
            dropped.append(stage)
            continue
        if stage.key in facts.done:
            why = f"done before, but {gone[0]} is no longer whole on disk"
            redone.append(Decision("skip_done_stages", stage.key, why))
        needed.difference_update(stage.produces)
        if goes_on_behind_its_start(stage, checkpoints):
            consumes = tuple(name for name in stage.consumes if name != stage.spec["start"])
            stage = replace(stage, consumes=consumes)
        needed.update(stage.consumes)
        kept.append(stage)
    plan = replace(
        plan,
        stages=tuple(reversed(kept)),
        decisions=(*plan.decisions, *redone),
    )
    return _without(plan, dropped, "done before")


def use_frozen_features(plan: Plan, facts: Facts) -> Plan:
    """Compute the output of a frozen prefix once for all images, and train on that.

    Features that together would take more than the cache may hold are left to be computed in every
    epoch. Those that lie on the disk already are used in any case, and take their part of the room.
    """
    stages: list[Stage] = []
    used: dict[str, str] = {}
    decisions: list[Decision] = []
    room = facts.cache_limit
    for stage in plan.stages:
        features = stage.prefix
        if features is None:
            stages.append(stage)
            continue
        (name,) = features.produces
        there = name in facts.artifacts
        size = features.num_bytes or 0
        if features.key not in used:
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
        used[features.key] = name
        stages.append(_on_features(stage, features))
    return replace(
        plan,
        stages=tuple(stages),
        reads=_reading_features(plan, stages, set(used)),
        decisions=(*plan.decisions, *decisions),
    )


def _on_features(stage: Stage, features: Stage) -> Stage:
    (name,) = features.produces
    spec = {**stage.spec, "features": name, "prefix": features.spec["prefix"]}
    cost_kind = content_key("cost", [stage.cost_kind, "features"]) if stage.cost_kind else ""
    needs = (*stage.needs, features.key)
    consumes = (*stage.consumes, name)
    return replace(
        stage, spec=spec, needs=needs, consumes=consumes, cost_kind=cost_kind, prefix=None
    )


def _reading_features(
    plan: Plan, stages: list[Stage], used: set[str]
) -> dict[str, tuple[str, ...]]:
    """Return what each run reads, with the features that its stages need before them."""
    features = {each.key: need for each in stages for need in each.needs if need in used}
    reads: dict[str, tuple[str, ...]] = {}
    for run, keys in plan.reads.items():
        chain: list[str] = []
        for key in keys:
            if key in features and features[key] not in chain:
                chain.append(features[key])
            chain.append(key)
        reads[run] = tuple(chain)
    return reads


def _without(plan: Plan, dropped: list[Stage], why: str) -> Plan:
    keys = {stage.key for stage in dropped}
    return replace(
        plan,
        stages=tuple(stage for stage in plan.stages if stage.key not in keys),
        skipped={**plan.skipped, **{stage.key: why for stage in dropped}},
    )


RULES: tuple[Rule, ...] = (
    merge_equal_stages,
    read_recorded_epochs,
    share_trajectories,
    skip_finished_runs,
    skip_after_divergence,
    skip_done_stages,
    go_on_from_checkpoints,
    go_on_from_states,
    use_frozen_features,
)


SHARING = (
    "read_recorded_epochs",
    "share_trajectories",
    "go_on_from_states",
    "use_frozen_features",
)
"""The rules that may be switched off: those that share work between runs or epochs."""


def rules_without(disabled: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules but those of these names."""
    return tuple(rule for rule in RULES if rule.__name__ not in disabled)


def apply_rules(plan: Plan, facts: Facts, rules: tuple[Rule, ...] = RULES) -> Plan:
    """Return the plan after all rules, in order."""
    for rule in rules:
        plan = rule(plan, facts)
    return plan

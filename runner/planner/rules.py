"""The rules of the planner. The tuple RULES at the foot is their order and their list.

A rule is a pure function from (plan, facts) to plan. It never changes what a run reads, only what
is computed for it, and it never raises the cost.
"""

from collections.abc import Callable
from dataclasses import replace

from runner.core.types import Decision, Facts, Plan, Stage

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
        if without.intersection(stage.needs):
            without.add(stage.key)
            dropped.append(stage)
    return _without(plan, dropped, "what it needs diverged")


def skip_done_stages(plan: Plan, facts: Facts) -> Plan:
    """Leave out the stages that are done, unless a stage to do needs a product that is gone."""
    needed: set[str] = set()
    dropped: list[Stage] = []
    redone: list[Decision] = []
    for stage in reversed(plan.stages):
        gone = bool(stage.produces) and stage.produces not in facts.artifacts
        if stage.key in facts.done and not (gone and stage.key in needed):
            dropped.append(stage)
            continue
        if stage.key in facts.done:
            why = f"done before, but {stage.produces} is no longer on disk"
            redone.append(Decision("skip_done_stages", stage.key, why))
        needed.update(stage.needs)
    plan = replace(plan, decisions=(*plan.decisions, *redone))
    return _without(plan, dropped, "done before")


def _without(plan: Plan, dropped: list[Stage], why: str) -> Plan:
    keys = {stage.key for stage in dropped}
    return replace(
        plan,
        stages=tuple(stage for stage in plan.stages if stage.key not in keys),
        skipped={**plan.skipped, **{stage.key: why for stage in dropped}},
    )


RULES: tuple[Rule, ...] = (
    merge_equal_stages,
    skip_finished_runs,
    skip_after_divergence,
    skip_done_stages,
)


def apply_rules(plan: Plan, facts: Facts, rules: tuple[Rule, ...] = RULES) -> Plan:
    """Return the plan after all rules, in order."""
    for rule in rules:
        plan = rule(plan, facts)
    return plan

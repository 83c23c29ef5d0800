"""The rules of the planner. The tuple RULES at the foot is their order and their list.

A rule is a pure function from (plan, facts) to plan. It never changes what a run needs, only what
is computed for it. It may add a stage (features, a beginning in common) to save epochs or forwards.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import AfterTraining, Analyse, Stage, Train
from runner.planner.features import use_frozen_features
from runner.planner.measurements import read_kept_logits, skip_where_weights_are_gone
from runner.planner.recorded import read_recorded_epochs
from runner.planner.resuming import (
    checkpoints_of,
    go_on_from_checkpoints,
    go_on_from_states,
    goes_on_behind_its_start,
)
from runner.planner.together import train_together
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
    after = plan.after_runs()
    wanted = plan.read_by_open_runs(facts.finished) | after
    wanted |= {need for stage in plan.stages if stage.key in after for need in stage.needs}
    unwanted = [stage for stage in plan.stages if stage.key not in wanted]
    return plan.without(unwanted, "its runs have results")


def skip_after_divergence(plan: Plan, facts: Facts) -> Plan:
    """Leave out the stages that need one that diverged: there are no weights to look at."""
    without = set(facts.diverged)
    dropped: list[Stage] = []
    for stage in plan.stages:
        satisfied = isinstance(stage, AfterTraining) and stage.solo_key in facts.finished_readers
        if without.intersection(stage.needs) and not satisfied:
            without.add(stage.key)
            dropped.append(stage)
    return plan.without(dropped, "what it needs diverged")


def skip_done_stages(plan: Plan, facts: Facts) -> Plan:
    """Leave out the stages that are done, unless a stage to do needs a product that is gone.

    A branch that was stopped and has a checkpoint no longer needs the state that it began from.
    """
    checkpoints = checkpoints_of(facts)
    kept: list[Stage] = []
    needed: set[str] = set()
    dropped: list[Stage] = []
    redone: list[Decision] = []
    for stage in reversed(plan.stages):
        missing = (name for name in stage.produces if name not in facts.artifacts)
        gone = [name for name in missing if name in needed]
        if isinstance(stage, Analyse):  # people look at what it leaves
            gone = [name for name in stage.produces if name not in facts.artifacts]
        if stage.key in facts.done and not gone:
            dropped.append(stage)
            continue
        if stage.key in facts.done:
            why = f"done before, but {gone[0]} is no longer whole on disk"
            redone.append(Decision("skip_done_stages", stage.key, why))
        needed.difference_update(stage.produces)
        if isinstance(stage, Train) and goes_on_behind_its_start(stage, checkpoints):
            stage = replace(stage, passed_start=True)
        needed.update(stage.consumes)
        kept.append(stage)
    plan = replace(
        plan,
        stages=tuple(reversed(kept)),
        decisions=(*plan.decisions, *redone),
    )
    return plan.without(dropped, "done before")


RULES: tuple[Rule, ...] = (
    merge_equal_stages,
    read_recorded_epochs,
    share_trajectories,
    read_kept_logits,
    skip_where_weights_are_gone,
    skip_finished_runs,
    skip_after_divergence,
    skip_done_stages,
    go_on_from_checkpoints,
    go_on_from_states,
    use_frozen_features,
    train_together,
)


SHARING = (
    "read_recorded_epochs",
    "share_trajectories",
    "go_on_from_states",
    "use_frozen_features",
    "train_together",
)
"""The rules that may be switched off: those that share work between runs or epochs."""


def rules_without(disabled: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules but those of these names."""
    return tuple(rule for rule in RULES if rule.__name__ not in disabled)


def apply_rules(plan: Plan, facts: Facts, rules: tuple[Rule, ...] = RULES) -> Plan:
    """Return the plan after all rules, in order."""
    steps = rule_steps(plan, facts, rules)
    return steps[-1][1] if steps else plan


def rule_steps(plan: Plan, facts: Facts, rules: Iterable[Rule]) -> list[tuple[str, Plan]]:
    """Return the name of each rule, in order, with the plan after it."""
    steps = []
    for rule in rules:
        plan = rule(plan, facts)
        steps.append((rule.__name__, plan))
    return steps

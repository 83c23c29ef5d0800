"""The rules for what tables and analyses ask of finished runs: nothing is trained for it.

What an earlier evaluation left is read. Owns what is said where it cannot be done. Which
evaluations are asked for is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import AfterTraining, Analyse, Evaluate, Stage


def read_kept_logits(plan: Plan, facts: Facts) -> Plan:
    """Measure from logits that lie on the disk: no network, no images and no weights are needed."""

    def reading(stage: Stage) -> Stage:
        if not isinstance(stage, Evaluate) or stage.epoch_number is None:
            return stage
        if stage.key in facts.done or stage.logits not in facts.artifacts:
            return stage
        return replace(stage, needs=(), from_logits=True)

    return replace(plan, stages=tuple(map(reading, plan.stages)))


def skip_where_weights_are_gone(plan: Plan, facts: Facts) -> Plan:
    """Leave out what is to be measured or looked at of finished runs whose weights are gone.

    They would have to be trained again, which such a wish is no reason for. Arrays that are gone
    stay so then: the values that were recorded with them are there.
    """
    gone: dict[str, list[Evaluate | Analyse]] = {}
    for stage in plan.stages:
        if not isinstance(stage, AfterTraining) or stage.epoch_number is None:
            continue
        if isinstance(stage, Evaluate) and stage.from_logits:
            continue
        is_whole = stage.key in facts.done and facts.artifacts.issuperset(stage.produces)
        if not is_whole and stage.weights not in facts.artifacts:
            gone.setdefault(_what(stage), []).append(stage)
    decisions = [
        Decision(
            "skip_where_weights_are_gone",
            min(stage.key for stage in stages),  # whatever the order of the runs
            _why_not(what, stages),
        )
        for what, stages in gone.items()
    ]
    plan = replace(plan, decisions=(*plan.decisions, *decisions))
    return plan.without(
        [stage for stages in gone.values() for stage in stages], "the weights are gone"
    )


def _what(stage: Evaluate | Analyse) -> str:
    """Return what is asked for of a run, with the verb that says that it cannot be done."""
    if isinstance(stage, Analyse):
        return stage.name
    return " and ".join(f"{stage.split}_{name}" for name in stage.measures)


def _why_not(what: str, stages: Sequence[Evaluate | Analyse]) -> str:
    count = len(stages)
    runs, whose = ("1 finished run", "its") if count == 1 else (f"{count} finished runs", "their")
    why = (
        f"{what} of {runs} cannot be measured: {whose} weights are gone;"
        " only training again (run --rerun) would bring them back"
    )
    if not any(isinstance(stage, Analyse) for stage in stages):
        return why
    epochs = sum(int(stage.settings.json["train"]["epochs"]) for stage in stages)
    return f"{why}, at most {epochs} epochs"

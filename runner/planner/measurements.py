"""The rule for what tables ask of finished runs: nothing is trained to measure it.

Owns what is said where it cannot be measured. Which evaluations are asked for is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import Evaluate


def skip_where_weights_are_gone(plan: Plan, facts: Facts) -> Plan:
    """Leave out what is to be measured of finished runs whose weights are gone.

    They would have to be trained again, which a table's wish is no reason for.
    """
    gone: dict[tuple[str, ...], list[Evaluate]] = {}
    for stage in plan.stages:
        if not isinstance(stage, Evaluate) or stage.epoch_number is None:
            continue
        if stage.key not in facts.done and stage.weights not in facts.artifacts:
            metrics = tuple(f"{stage.split}_{name}" for name in stage.measures)
            gone.setdefault(metrics, []).append(stage)
    decisions = [
        Decision(
            "skip_where_weights_are_gone",
            min(stage.key for stage in stages),  # whatever the order of the runs
            _why_not(metrics, len(stages)),
        )
        for metrics, stages in gone.items()
    ]
    plan = replace(plan, decisions=(*plan.decisions, *decisions))
    return plan.without(
        [stage for stages in gone.values() for stage in stages], "the weights are gone"
    )


def _why_not(metrics: Sequence[str], count: int) -> str:
    runs, whose = ("1 finished run", "its") if count == 1 else (f"{count} finished runs", "their")
    return (
        f"{' and '.join(metrics)} of {runs} cannot be measured: {whose} weights are gone;"
        " only training again (run --rerun) would bring them back"
    )

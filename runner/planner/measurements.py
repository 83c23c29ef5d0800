"""The rules for what tables and analyses ask of finished runs: nothing is trained for it.

What an earlier evaluation left is read. Owns what is said where it cannot be done. Which
evaluations are asked for is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

from runner.core.artifacts import kind_of
from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import AfterTraining, Analyse, Evaluate, Stage, Train
from runner.core.text import and_listed, show_seconds

Lost = tuple[str, str]
"""What is asked for and not there: "arrays" or "logits" where these alone are gone, "" where its
values are not recorded either; what people call it."""


def read_kept_logits(plan: Plan, facts: Facts) -> Plan:
    """Compute from logits that lie on the disk: no network, no images and no weights are needed."""

    def reading(stage: Stage) -> Stage:
        if not isinstance(stage, AfterTraining) or not _reads(stage, facts):
            return stage
        leaves_arrays = isinstance(stage, Analyse) and stage.leaves_arrays
        num_bytes = None if leaves_arrays else 0  # the logits are there
        # its seconds say nothing of what a pass over the images takes
        return replace(stage, needs=(), from_logits=True, cost_key="", num_bytes=num_bytes)

    return replace(plan, stages=tuple(map(reading, plan.stages)))


def _reads(stage: Evaluate | Analyse, facts: Facts) -> bool:
    """Return whether a stage is to compute from logits of a finished run that lie there."""
    is_open = stage.epoch_number is not None and stage.key not in facts.done
    if isinstance(stage, Analyse):
        is_open = stage.epoch_number is not None and not _is_whole(stage, facts)
    return is_open and stage.logits in facts.artifacts


def _is_whole(stage: Evaluate | Analyse, facts: Facts) -> bool:
    """Return whether a stage is done, and what it left is there."""
    return stage.key in facts.done and facts.artifacts.issuperset(stage.produces)


def skip_where_weights_are_gone(plan: Plan, facts: Facts) -> Plan:
    """Leave out what is to be measured or analysed of finished runs whose weights are gone.

    They would have to be trained again, which such a wish is no reason for. Arrays and logits that
    are gone stay so then: the values that were recorded with them are there.
    """
    lost = [stage for stage in plan.stages if _lacks_weights(stage, facts)]
    of_runs: dict[str, dict[Lost, Evaluate | Analyse]] = {}
    for stage in lost:
        names = _lost(stage, facts)
        of_runs.setdefault(stage.solo_key, {}).update(dict.fromkeys(names, stage))
    alike: dict[tuple[Lost, ...], list[Evaluate | Analyse]] = {}
    for found in of_runs.values():  # a run once, whatever is asked of it
        alike.setdefault(tuple(sorted(found)), []).append(min(found.values(), key=_key))
    trainings = {
        name: stage for stage in plan.stages if isinstance(stage, Train) for name in stage.readers
    }
    decisions = [
        Decision(
            "skip_where_weights_are_gone",
            min(stage.key for stage in stages),  # whatever the order of the runs
            _why_not(names, len(stages)) + _cost(stages, trainings, facts),
        )
        for names, stages in alike.items()
    ]
    plan = replace(plan, decisions=(*plan.decisions, *decisions))
    return plan.without(lost, "the weights are gone")


def _lacks_weights(stage: Stage, facts: Facts) -> TypeGuard[Evaluate | Analyse]:
    """Return whether a stage is to be done of a finished run, and its weights are not there."""
    if not isinstance(stage, AfterTraining) or stage.epoch_number is None:
        return False
    if _is_whole(stage, facts) or _reads(stage, facts):
        return False
    return stage.weights not in facts.artifacts


def _key(stage: Evaluate | Analyse) -> str:
    return stage.key


def _lost(stage: Evaluate | Analyse, facts: Facts) -> Sequence[Lost]:
    """Return what of a stage is asked for and not there."""
    if not isinstance(stage, Analyse):
        return [("", f"{stage.split}_{name}") for name in stage.names]
    name = stage.called or stage.name
    if stage.key not in facts.done:
        return [("", name)]
    gone = (kind_of(each) for each in stage.produces if each not in facts.artifacts)
    return [("logits" if kind == "logits" else "arrays", name) for kind in gone]


def _why_not(lost: Sequence[Lost], count: int) -> str:
    names = [name for what, name in lost if not what]
    for kept in ("arrays", "logits"):
        if of := [name for what, name in lost if what == kept]:
            names.append(f"the {kept} of {and_listed(of)}")
    runs, whose = ("1 finished run", "its") if count == 1 else (f"{count} finished runs", "their")
    return (
        f"{and_listed(names)} of {runs} cannot be computed: {whose} weights are gone;"
        " only training again (run --rerun) would bring them back"
    )


def _cost(
    stages: Sequence[Evaluate | Analyse], trainings: Mapping[str, Train], facts: Facts
) -> str:
    """Return what training runs again takes at most; each stage is of another run."""
    epochs, seconds = 0, 0.0
    unknown = False
    for stage in stages:
        training = trainings[stage.solo_key]
        budget = training.readers[stage.solo_key].budget
        epochs += budget
        seconds += facts.seconds.get(training.cost_key, 0.0) * budget
        unknown |= training.cost_key not in facts.seconds
    text = f": at most {epochs} epoch{'s' * (epochs != 1)}"
    return text if unknown else f"{text}, about {show_seconds(seconds)}"

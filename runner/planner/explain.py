"""EXPLAIN: a plan as a tree of stages, what each rule saved, and what is not shared and why.

Pure: looks at a plan and changes nothing. Owns no words for people but the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from runner.core.plan import Facts, Plan
from runner.core.records import ActualCost
from runner.core.stages import STAGE_KINDS, AfterTraining, Analyse, Evaluate, Stage, Train
from runner.core.text import listed
from runner.planner.cost import Cost, cost_of, predicted

Rule = Callable[[Plan, Facts], Plan]
READING = ("epochs", "early_stopping", "best", "diverged_if")
"""Settings of `train` that say how a run reads its trajectory, not how the weights move."""
WHOLE = {
    "cosine": "other settings of a cosine give other learning rates from the first epoch",
    "plateau": "a schedule by what is measured shares nothing with one of other settings",
}
"""Schedules that part in the first epoch or not at all, and why."""
AUGMENTED = "the images are augmented"
EVALUATED_ONCE = f"{AUGMENTED}; those of what is evaluated are computed once"


@dataclass(frozen=True, slots=True)
class Ending:
    """A run whose chain ends in a stage.

    Attributes:
        run: its key.
        last_epoch: the last that it may read, 0 without training.
        may_stop: whether it may stop before.
    """

    run: str
    last_epoch: int
    may_stop: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """A stage in the tree.

    Attributes:
        stage: the stage; evaluations are folded into ``runs``.
        seconds: estimated, None when never measured.
        runs: what ends here.
        through: how many runs read it.
        children: stages that go on from it.
        actual: what it took, None when it was never begun or nothing is asked about.
    """

    stage: Stage
    seconds: float | None
    runs: tuple[Ending, ...]
    through: int
    children: tuple[Branch, ...]
    actual: ActualCost | None = None


@dataclass(frozen=True, slots=True)
class Saving:
    """What one rule has left out: stages, epochs and seconds; negative where it added."""

    rule: str
    stages: int
    epochs: int
    seconds: float


def tree(
    naive: Plan,
    plan: Plan,
    facts: Facts,
    actual: Mapping[str, ActualCost] = MappingProxyType({}),
) -> list[Branch]:
    """Return the planned stages as trees, each under the stage that it goes on from.

    Args:
        naive: every run by itself.
        plan: what is planned of it.
        facts: what was known.
        actual: what stages took, by key.
    """
    planned = {stage.key: stage for stage in plan.stages}
    children: dict[str, list[Stage]] = {}
    roots: list[Stage] = []
    for stage in plan.stages:
        if isinstance(stage, AfterTraining):
            continue
        parent = _parent(stage, planned)
        if parent is None:
            roots.append(stage)
        else:
            children.setdefault(parent, []).append(stage)
    ending, through = _readers(naive, plan, planned)

    def grow(stage: Stage) -> Branch:
        return Branch(
            stage=stage,
            seconds=predicted(stage, facts)["seconds"],
            runs=tuple(ending.get(stage.key, ())),
            through=through.get(stage.key, 0),
            children=tuple(grow(each) for each in children.get(stage.key, ())),
            actual=actual.get(stage.key),
        )

    return [grow(stage) for stage in roots]


def _parent(stage: Stage, planned: Mapping[str, Stage]) -> str | None:
    """Return the stage that another one goes on from: a training before features before pixels."""
    needs = [planned[need] for need in stage.needs if need in planned]
    return max(needs, key=_rank).key if needs else None


def _rank(stage: Stage) -> int:
    """Return how much of another stage's work one has done before it, compared with others."""
    return STAGE_KINDS.index(stage.kind)


def _readers(
    naive: Plan, plan: Plan, planned: Mapping[str, Stage]
) -> tuple[dict[str, list[Ending]], dict[str, int]]:
    """Return the runs whose training ends in each stage, and how many read each."""
    alone = {stage.key: stage for stage in naive.stages if isinstance(stage, Train)}
    ending: dict[str, list[Ending]] = {}
    through: dict[str, int] = {}
    for run, keys in plan.stages_by_run.items():
        stages = [planned[key] for key in keys if key in planned]
        for stage in stages:
            through[stage.key] = through.get(stage.key, 0) + 1
        trainings = [stage for stage in stages if isinstance(stage, Train)]
        last = trainings[-1] if trainings else (stages[-1] if stages else None)
        if last is not None:
            own = next((alone[key] for key in naive.stages_by_run[run] if key in alone), None)
            ending.setdefault(last.key, []).append(_ending(run, own))
    return ending, through


def _ending(run: str, alone: Train | None) -> Ending:
    if alone is None:
        return Ending(run, 0, False)
    (reader,) = alone.readers.values()
    return Ending(run, reader.budget, reader.stop_rule is not None)


def savings(naive: Plan, steps: Iterable[tuple[str, Plan]], facts: Facts) -> Iterator[Saving]:
    """Yield what each rule leaves out of the plan; rules that change nothing are not named.

    Args:
        naive: the plan before the rules.
        steps: names of the rules in their order, and the plan after each.
        facts: seconds by cost key.
    """
    before = cost_of(naive.stages, facts)
    for rule, plan in steps:
        after = cost_of(plan.stages, facts)
        if (after.stages, after.epochs) != (before.stages, before.epochs):
            yield _saving(rule, before, after)
        before = after


def _saving(name: str, before: Cost, after: Cost) -> Saving:
    known = before.unknown == after.unknown
    return Saving(
        rule=name,
        stages=before.stages - after.stages,
        epochs=before.epochs - after.epochs,
        seconds=before.seconds - after.seconds if known else 0.0,
    )


def measured(plan: Plan) -> dict[str, int]:
    """Return the metrics that are to be measured of finished runs, and of how many."""
    found: dict[str, int] = {}
    for stage in plan.stages:
        if isinstance(stage, Evaluate) and stage.epoch_number is not None:
            for name in stage.measures:
                metric = f"{stage.split}_{name}"
                found[metric] = found.get(metric, 0) + 1
    return found


def analysed(plan: Plan) -> dict[str, int]:
    """Return the analyses that are to be made, by their names in the spec, and of how many runs."""
    found: dict[str, set[str]] = {}
    for stage in plan.stages:
        if isinstance(stage, Analyse):
            found.setdefault(stage.called or stage.name, set()).add(stage.solo_key)
    return {name: len(runs) for name, runs in found.items()}


def computed_logits(plan: Plan) -> dict[str, int]:
    """Return the splits whose logits analyses compute, as none are kept, and of how many runs."""
    found: dict[str, set[str]] = {}
    for stage in plan.stages:
        if not isinstance(stage, Analyse) or stage.from_logits or stage.finds_logits:
            continue
        if stage.logits:
            found.setdefault(stage.logits.rpartition("-")[2], set()).add(stage.logits)
    return {split: len(names) for split, names in found.items()}


def not_shared(
    naive: Plan, plan: Plan, facts: Facts, reruns: Mapping[str, int], names: Mapping[str, str]
) -> Iterator[str]:
    """Yield why trainings that look alike share nothing, and why frozen features are not shared.

    Args:
        naive: every run by itself.
        plan: what is planned of it; runs that are read from recorded epochs are not spoken of.
        facts: runs that have a result are not spoken of.
        reruns: which repetition of each run is wanted; those of another never share.
        names: of the runs, by key.
    """
    stages = {stage.key: stage for stage in naive.stages if isinstance(stage, Train)}
    for stage in plan.stages:
        if isinstance(stage, Train) and stage.recorded is not None:
            stages.pop(stage.key, None)
    runs: dict[str, list[str]] = {}
    groups: dict[tuple[str, int], list[Train]] = {}
    # trainings that begin with the same epochs differ in their reading and their schedule only
    texts: dict[tuple[str, str], str] = {}
    for run, keys in naive.stages_by_run.items():
        key = next((key for key in keys if key in stages), None)
        if run in facts.finished or key is None:
            continue
        if key not in runs:
            settings = stages[key].settings.json
            begins = (stages[key].trajectory.key, repr(settings["train"].get("schedule")))
            if begins not in texts:
                texts[begins] = _alike(settings)
            group = (texts[begins], reruns.get(run, 0))
            groups.setdefault(group, []).append(stages[key])
        runs.setdefault(key, []).append(run)
    for alike in groups.values():
        families = {stage.trajectory.key for stage in alike}
        limits = {stage.settings.json["train"]["diverged_if"] for stage in alike}
        reasons = list(_reasons(alike)) if len(families) > 1 or len(limits) > 1 else []
        if reasons:
            mine = [names[run] for stage in alike for run in runs[stage.key]]
            yield f"{listed(mine)}: {'; '.join(reasons)}"
    yield from _unshared_prefixes(naive, plan)


def _unshared_prefixes(naive: Plan, plan: Plan) -> Iterator[str]:
    """Yield why frozen prefixes are computed in every epoch, with how many trainings do so."""
    augmented = {
        stage.key
        for stage in naive.stages
        if isinstance(stage, Train) and stage.prefix is not None and stage.prefix.views is None
    }
    evaluated = {
        name
        for stage in plan.stages
        if isinstance(stage, Train) and stage.on_features
        for name in stage.readers
    }
    cohorts = {key for cohort in plan.cohorts for key in cohort.stages}
    together = {
        name
        for stage in plan.stages
        if isinstance(stage, Train) and stage.key in cohorts
        for name in stage.readers
    }
    augmented -= together  # computed once for all of them, in each step
    evaluated &= augmented
    for keys, why in ((augmented - evaluated, AUGMENTED), (evaluated, EVALUATED_ONCE)):
        if keys:
            yield f"frozen features of {len(keys)} training{'s' * (len(keys) > 1)}: {why}"


def _alike(settings: Mapping[str, Any]) -> str:
    """Return all settings but those of reading, as text.

    Of schedules whose rates depend on how long they are or on what is measured, only the name.
    """
    train = {name: value for name, value in settings["train"].items() if name not in READING}
    if _schedule(settings) in WHOLE:
        train["schedule"] = _schedule(settings)
    others = {name: value for name, value in settings.items() if name not in ("train", "evaluate")}
    return repr((sorted(others.items(), key=str), sorted(train.items(), key=str)))


def _schedule(settings: Mapping[str, Any]) -> str:
    return str((settings["train"].get("schedule") or {}).get("name", ""))


def _reasons(stages: Sequence[Train]) -> Iterator[str]:
    """Yield all that keeps trainings apart that are alike but for their reading."""
    settings = [stage.settings.json for stage in stages]
    schedule, trains = _schedule(settings[0]), [each["train"] for each in settings]
    if schedule == "cosine" and len({each["epochs"] for each in trains}) > 1:
        yield ("a cosine over another number of epochs has other learning rates from the first one")
    if schedule in WHOLE and len({repr(each["schedule"]) for each in trains}) > 1:
        yield WHOLE[schedule]
    evaluations = [each.get("evaluate", {}) for each in settings]
    measured = {(each.get("test") == "each_epoch", each.get("train_eval")) for each in evaluations}
    if len(measured) > 1:
        yield "not every one of them measures the same after each epoch"
    if len({each["diverged_if"] for each in trains}) > 1:
        yield "another train.diverged_if may end a training earlier"

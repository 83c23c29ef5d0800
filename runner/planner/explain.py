"""EXPLAIN: a plan as a tree of stages, and what each rule saved.

Pure: looks at a plan and changes nothing. Owns no words for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from runner.core.plan import Facts, Plan
from runner.core.records import ActualCost
from runner.core.stages import STAGE_KINDS, AfterTraining, Analyse, Evaluate, Stage, Train
from runner.planner.cost import Cost, cost_of, predicted

Rule = Callable[[Plan, Facts], Plan]


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
            for name in stage.names:
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

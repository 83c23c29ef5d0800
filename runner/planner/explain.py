"""EXPLAIN: a plan as a tree of stages, what each rule saved, and what is not shared and why.

Pure: looks at a plan and changes nothing. Owns no words for people but the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.core.types import Facts, Plan, Stage
from runner.planner.cost import Cost, cost_of, predicted

Rule = Callable[[Plan, Facts], Plan]
READING = ("train.epochs", "train.early_stopping", "train.best", "train.diverged_if")
"""Settings that say how a run reads its trajectory, not how the weights move."""


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
    """

    stage: Stage
    seconds: float | None
    runs: tuple[Ending, ...]
    through: int
    children: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Saving:
    """What one rule has left out: stages, epochs and seconds; negative where it added."""

    rule: str
    stages: int
    epochs: int
    seconds: float


def tree(naive: Plan, plan: Plan, facts: Facts) -> list[Branch]:
    """Return the planned stages as trees, each under the stage that it goes on from.

    Args:
        naive: every run by itself.
        plan: what is planned of it.
        facts: what was known.
    """
    planned = {stage.key: stage for stage in plan.stages}
    children: dict[str, list[Stage]] = {}
    roots: list[Stage] = []
    for stage in plan.stages:
        if stage.kind == "evaluate":
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
        )

    return [grow(stage) for stage in roots]


def _parent(stage: Stage, planned: Mapping[str, Stage]) -> str | None:
    """Return the stage that another one goes on from: a training before features before pixels."""
    needs = [need for need in stage.needs if need in planned]
    kinds = [planned[need].kind for need in needs]
    for kind in ("train", "features", "prepare"):
        if kind in kinds:
            return needs[kinds.index(kind)]
    return None


def _readers(
    naive: Plan, plan: Plan, planned: Mapping[str, Stage]
) -> tuple[dict[str, list[Ending]], dict[str, int]]:
    """Return the runs whose training ends in each stage, and how many read each."""
    alone = {stage.key: stage for stage in naive.stages if stage.kind == "train"}
    ending: dict[str, list[Ending]] = {}
    through: dict[str, int] = {}
    for run, keys in plan.reads.items():
        stages = [planned[key] for key in keys if key in planned]
        for stage in stages:
            through[stage.key] = through.get(stage.key, 0) + 1
        trainings = [stage for stage in stages if stage.kind == "train"]
        last = trainings[-1] if trainings else (stages[-1] if stages else None)
        if last is not None:
            reading = next((alone[key] for key in naive.reads[run] if key in alone), None)
            ending.setdefault(last.key, []).append(_ending(run, reading))
    return ending, through


def _ending(run: str, alone: Stage | None) -> Ending:
    if alone is None:
        return Ending(run, 0, False)
    (reader,) = alone.spec["readers"].values()
    return Ending(run, int(reader["budget"]), reader["stop_rule"] is not None)


def last_epoch(stage: Stage) -> int:
    """Return the last epoch of a training's path, 0 for other stages."""
    return sum(each["num_epochs"] for each in stage.spec.get("path", ()))


def savings(naive: Plan, steps: Iterable[tuple[str, Plan]], facts: Facts) -> Iterator[Saving]:
    """Yield what each rule leaves out of the plan; rules that change nothing are not named.

    Args:
        naive: the plan before the rules.
        steps: names of the rules in their order, and the plan after each.
        facts: seconds by cost kind.
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


def not_shared(naive: Plan) -> Iterator[str]:
    """Yield why trainings that look alike share nothing, and why frozen features are not shared."""
    groups: dict[str, list[Stage]] = {}
    seen: set[str] = set()
    for stage in naive.stages:
        if stage.kind == "train" and stage.key not in seen:
            seen.add(stage.key)
            groups.setdefault(_alike(stage.spec["settings"]), []).append(stage)
    for stages in groups.values():
        families = {stage.spec["path"][0]["key"] for stage in stages}
        limits = {_setting(stage.spec["settings"], "train.diverged_if") for stage in stages}
        reason = _reason(stages, len(families), len(limits))
        if reason:
            yield f"{len(stages)} trainings that differ only in how they are read: {reason}"
    yield from _unshared_prefixes(naive)


def _unshared_prefixes(naive: Plan) -> Iterator[str]:
    """Yield why frozen prefixes are computed in every epoch, with how many trainings do so."""
    reasons: dict[str, set[str]] = {}
    for stage in naive.stages:
        if stage.prefix_unshared:
            reasons.setdefault(stage.prefix_unshared, set()).add(stage.key)
    for why, keys in reasons.items():
        yield f"frozen features of {len(keys)} training{'s' * (len(keys) > 1)}: {why}"


def _reason(stages: Sequence[Stage], families: int, limits: int) -> str:
    settings = stages[0].spec["settings"]
    if families > 1 and _setting(settings, "train.schedule.name") == "cosine":
        return "a cosine over another number of epochs has other learning rates from the first one"
    if families > 1:
        return "not every one of them measures the same after each epoch"
    if limits > 1:
        return "another train.diverged_if may end a training earlier"
    return ""


def _alike(settings: Mapping[str, Any]) -> str:
    """Return all settings but those of reading, as text."""
    train = dict(settings["train"])
    for path in READING:
        train.pop(path.partition(".")[2], None)
    others = {name: value for name, value in settings.items() if name not in ("train", "evaluate")}
    return repr((sorted(others.items(), key=str), sorted(train.items(), key=str)))


def _setting(settings: Mapping[str, Any], path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value

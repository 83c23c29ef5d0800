"""EXPLAIN: which trainings of a plan share nothing, and why.

Pure: looks at plans and changes nothing. Owns the words for the reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from runner.core.plan import Facts, Plan
from runner.core.sharing import Unshared
from runner.core.stages import Train
from runner.core.text import listed

READING = ("epochs", "early_stopping", "best", "diverged_if")
"""Settings of `train` that say how a run reads its trajectory, not how the weights move."""
WHOLE = {
    "cosine": "other settings of a cosine give other learning rates from the first epoch",
    "plateau": "a schedule by what is measured shares nothing with one of other settings",
}
"""Schedules that part in the first epoch or not at all, and why."""
AUGMENTED = "the images are augmented"
OWN_STEP = "a step of its own sees the images"
ALONE = "trained by itself, and again from the first epoch where it is stopped"
MIXED = "measured in batches of one size, without frozen features"
EVALUATED_ONCE = "; those of what is evaluated are computed once"


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
    own_code = _OwnCode({}, {})
    for run, keys in naive.stages_by_run.items():
        key = next((key for key in keys if key in stages), None)
        if run in facts.finished or key is None:
            continue
        if own_code.takes(stages[key], run):
            continue
        if key not in runs:
            settings = stages[key].settings.json
            begins = (stages[key].trajectory.key, repr(settings["train"].get("schedule")))
            if begins not in texts:
                texts[begins] = _alike(settings)
            group = (texts[begins], reruns.get(run, 0))
            groups.setdefault(group, []).append(stages[key])
        runs.setdefault(key, []).append(run)
    yield from own_code.words(names)
    for alike in groups.values():
        families = {stage.trajectory.key for stage in alike}
        limits = {stage.settings.json["train"]["diverged_if"] for stage in alike}
        reasons = list(_reasons(alike)) if len(families) > 1 or len(limits) > 1 else []
        if reasons:
            mine = [names[run] for stage in alike for run in runs[stage.key]]
            yield f"{listed(mine)}: {'; '.join(reasons)}"
    yield from _unshared_prefixes(naive, plan)


def told_of_own_code(plan: Plan) -> Iterator[str]:
    """Yield once each what does not hold of own code that is trained now."""
    trained = (stage for stage in plan.stages if isinstance(stage, Train) and stage.epochs)
    yield from dict.fromkeys(why for stage in trained for why in _whys(stage.unshared))


def _whys(unshared: Unshared) -> Iterator[str]:
    if unshared.training:
        yield f"{unshared.training}; {ALONE}"
    if unshared.images:
        yield f"{unshared.images}; {MIXED}"


class _OwnCode(NamedTuple):
    """What does not hold of own code, with the runs or trainings that share less for it."""

    runs: dict[str, list[str]]
    features: dict[str, set[str]]

    def takes(self, stage: Train, run: str) -> bool:
        """Note why a run shares less; return whether it shares nothing."""
        unshared = stage.unshared
        for why in _whys(unshared):
            self.runs.setdefault(why, []).append(run)
        if unshared.features and not (unshared.training or unshared.images):
            self.features.setdefault(unshared.features, set()).add(stage.key)
        return bool(unshared.training)

    def words(self, names: Mapping[str, str]) -> Iterator[str]:
        """Yield each reason once."""
        for why, runs in self.runs.items():
            yield f"{listed([names[run] for run in runs])}: {why}"
        for why, keys in self.features.items():
            yield f"frozen features of {len(keys)} training{'s' * (len(keys) > 1)}: {why}"


def _unshared_prefixes(naive: Plan, plan: Plan) -> Iterator[str]:
    """Yield why frozen prefixes are computed in every epoch, with how many trainings do so."""
    whole = {
        stage.key: OWN_STEP if stage.settings.json["train"].get("step") else AUGMENTED
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
    counts: dict[str, int] = {}
    for key, why in whole.items():
        if key not in together:  # computed once for all of them, in each step
            told = f"{why}{EVALUATED_ONCE if key in evaluated else ''}"
            counts[told] = counts.get(told, 0) + 1
    for told, count in sorted(counts.items(), key=lambda each: each[0].endswith(EVALUATED_ONCE)):
        yield f"frozen features of {count} training{'s' * (count > 1)}: {told}"


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

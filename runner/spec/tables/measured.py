"""Where the metrics of a table come from: what a run records, and what its kept weights give.

A run records some metrics by itself: after each epoch, and in its test. Any other measure of an
evaluated split is computed from the weights that the run keeps, once a table asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.components.contradictions import how_to_measure
from runner.components.measures import SummedMeasure, measure_of, metric_parts
from runner.components.settings import Settings, available_metrics
from runner.core.reader import LAST, KeptWeights


def metric_is_available(name: str, at: str | int, settings: Settings) -> bool:
    """Return whether such a run has a metric at the epoch that ``at`` chooses, or can have it."""
    recorded = metric_is_recorded(name, at, settings)
    return recorded or weights_for_metric(name, at, settings) is not None


def metric_is_recorded(name: str, at: str | int, settings: Settings) -> bool:
    """Return whether such a run records metric ``name`` at the epoch that ``at`` chooses."""
    if isinstance(at, int) and at > settings.train.epochs:
        return False
    if name in available_metrics(settings):
        return True
    return measure_of(name).is_standard and _is_evaluated(metric_parts(name)[0], at, settings)


def weights_for_metric(name: str, at: str | int, settings: Settings) -> KeptWeights | None:
    """Return the kept weights from which a metric that is not recorded can be computed, or None.

    They are those of an epoch at which the run evaluates the split: a table does not look at test
    images that the spec does not test on.
    """
    split, measure = metric_parts(name)[0], measure_of(name)
    if measure.is_standard or split == "train" or metric_is_recorded(name, at, settings):
        return None
    if not _is_evaluated(split, at, settings):
        return None
    tested = settings.evaluate.test
    if at in ("min", "max") and split == "test" and tested in ("best", "last"):
        at = tested  # of its one value
    if at == "best" or (at == "last" and settings.train.best.monitor == LAST):
        return "best"
    return "last" if at == "last" and tested == "last" else None


def _is_evaluated(split: str, at: str | int, settings: Settings) -> bool:
    """Return whether a run evaluates a split at the epoch that ``at`` chooses."""
    if f"{split}_accuracy" in available_metrics(settings):
        return True
    if split != "test":
        return False
    tested = settings.evaluate.test
    return tested == at or (tested != "never" and at in ("min", "max"))


def how_to_record(name: str, at: str | int, settings: Sequence[Settings]) -> tuple[str, str]:
    """Return what is allowed instead of a metric that no run has, and how to record it."""
    epochs = max(each.train.epochs for each in settings)
    if isinstance(at, int) and at > epochs:
        return f"an epoch up to {epochs} (train.epochs)", ""
    split, _ = metric_parts(name)
    evaluated = any(_is_evaluated(split, at, each) for each in settings)
    if not measure_of(name).is_standard and evaluated:
        return _how_to_compute(name, settings)
    if split != "test":
        measured = sorted({metric for each in settings for metric in available_metrics(each)})
        _, how = how_to_measure(name)
        return ", ".join(measured), f"to measure it, set {how}"
    wanted = f"{at} or each_epoch" if at in ("best", "last") else "each_epoch"
    known = sorted({each.evaluate.test for each in settings} & {"best", "last"})
    allowed = f"at: {' or '.join(known)}" if known else ""
    return allowed, f"to measure it, set evaluate.test: {wanted}"


def _how_to_compute(name: str, settings: Sequence[Settings]) -> tuple[str, str]:
    """Return at which epochs kept weights give a measure, and what else would."""
    kept = [
        at
        for at in ("best", "last")
        if any(weights_for_metric(name, at, each) is not None for each in settings)
    ]
    hint = f"after each epoch it is measured in runs that monitor it (train.best.monitor: {name})"
    if not isinstance(measure_of(name), SummedMeasure):
        hint = "it is measured on the weights that a run keeps, not after each epoch"
    return (f"at: {' or '.join(kept)}" if kept else ""), hint

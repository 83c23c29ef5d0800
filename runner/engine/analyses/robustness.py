"""Robustness: the measures of a network on changed images, which are the same for all networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from statistics import fmean

import torch
from torch import Tensor

from runner.components.analyses.analysis import Place
from runner.components.analyses.robustness import (
    CORRUPTION_ERROR,
    MEAN_CORRUPTION_ERROR,
    MEASURED,
    SEVERITY_ERROR,
    UNCHANGED,
    Change,
    Robustness,
)
from runner.components.corruptions.constants import STANDARD_KINDS
from runner.core.keys import canonical_json
from runner.core.moments import reached
from runner.core.records import AnalysisValue
from runner.engine.analyses.changed_images import ChangedImages
from runner.engine.analyses.result import AnalysisInput, AnalysisResult, check_finite
from runner.engine.stages.evaluate import autocast
from runner.engine.tally import Tally

Batches = Generator[tuple[Tensor, Tensor]]


def robustness(subject: AnalysisInput, asked: Robustness) -> AnalysisResult:
    """Return the measures by transform, severity and draw, and the errors on corruptions.

    Raises:
        StageFailed: when a value is not finite, behind the images of which it is.
        Interrupted: when asked to stop.
    """
    passes: list[tuple[Place, int, Change | None]] = [
        ({"transform": UNCHANGED, "severity": 0}, 1, None)
    ]
    passes += [
        (place, draw, change)
        for place, change in asked.pipelines()
        for draw in range(1, asked.draws + 1)
    ]
    count = len(subject.images.splits[asked.split])
    values = list(subject.partial_values.values)
    there = {canonical_json(dict(each.dims)) for each in values}
    with torch.inference_mode():
        for number, (place, draw, change) in enumerate(passes):
            where = {**place, "draw": draw}
            if canonical_json(where) in there:
                continue
            before, total = number * count, len(passes) * count

            def report(done: int, before: int = before, total: int = total) -> None:
                subject.report(before + done, total, asked.split)

            if draw > 1 and change is not None and not change.is_drawn():
                measured = _measured_before({**place, "draw": 1}, values)
            else:
                measured = _measured(subject, asked, change, draw, report)
                reached("images of a transform analysed")
            here = [AnalysisValue(name, each, where) for name, each in measured.items()]
            check_finite(subject.name, here)  # now, not after all the others
            values += here
            subject.partial_values.keep(values)
    return AnalysisResult((*values, *_errors(asked, values)))


def _measured_before(place: Place, values: Sequence[AnalysisValue]) -> Mapping[str, float]:
    """Return what was measured at a place."""
    return {each.name: each.value for each in values if each.dims == place}


def _measured(
    subject: AnalysisInput,
    asked: Robustness,
    change: Change | None,
    draw: int,
    report: Callable[[int], None],
) -> Mapping[str, float]:
    """Return the measures on the images of the split, changed or as they are."""
    images, tally = subject.images, Tally(MEASURED)
    if change is None:
        given: Batches = images.evaluation_batches(asked.split)
    else:
        changed = ChangedImages(images, asked.split, change, asked.seed, draw)
        given = changed.batches(subject.context, lambda: report(tally.count))
    with closing(given) as batches:
        for inputs, labels in batches:
            with autocast(inputs.device, subject.settings.train.precision):
                logits = subject.network.evaluated(inputs)
            tally.add(logits, labels)
            report(tally.count)
    return tally.values()


def _errors(asked: Robustness, values: Sequence[AnalysisValue]) -> Iterator[AnalysisValue]:
    """Yield the errors on corruptions: of each, at each severity, and of all, for each draw."""
    kinds = {each.label: each.corruption() for each in asked.transforms}
    errors = [
        (each.dims, 1 - each.value)
        for each in values
        if each.name == "accuracy" and kinds.get(str(each.dims["transform"])) is not None
    ]
    for draw in range(1, asked.draws + 1):
        by_label: dict[str, list[float]] = defaultdict(list)
        by_severity: dict[int, list[float]] = defaultdict(list)
        for place, error in errors:
            label, severity = str(place["transform"]), int(place["severity"])
            if place["draw"] == draw:
                by_label[label].append(error)
                if kinds[label] in STANDARD_KINDS:
                    by_severity[severity].append(error)
        means = {label: fmean(several) for label, several in by_label.items()}
        for label, mean in means.items():
            yield AnalysisValue(CORRUPTION_ERROR, mean, {"transform": label, "draw": draw})
        for severity, several in sorted(by_severity.items()):
            where = {"severity": severity, "draw": draw}
            yield AnalysisValue(SEVERITY_ERROR, fmean(several), where)
        standard = [mean for label, mean in means.items() if kinds[label] in STANDARD_KINDS]
        if standard:
            yield AnalysisValue(MEAN_CORRUPTION_ERROR, fmean(standard), {"draw": draw})

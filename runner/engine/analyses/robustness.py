"""Robustness: the standard measures of a network on changed images, the same for all networks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from runner.components.analyses.analysis import Place
from runner.components.analyses.robustness import UNCHANGED, Robustness
from runner.components.augmentations.pipeline import Pipeline
from runner.components.measures import STANDARD
from runner.core.moments import reached
from runner.core.records import AnalysisValue
from runner.engine.analyses.changed_images import BATCH, changed_images
from runner.engine.analyses.result import AnalysisInput, AnalysisResult
from runner.engine.stages.evaluate import autocast
from runner.engine.tally import Tally


def robustness(subject: AnalysisInput, asked: Robustness) -> AnalysisResult:
    """Return accuracy and loss by transform, severity and draw.

    Raises:
        Interrupted: when asked to stop.
    """
    passes: list[tuple[Place, int, Pipeline | None]] = [
        ({"transform": UNCHANGED, "severity": 0}, 1, None)
    ]
    passes += [
        (place, draw, pipeline)
        for place, pipeline in asked.pipelines()
        for draw in range(1, asked.draws + 1)
    ]
    count = len(subject.images.splits[asked.split])
    values: list[AnalysisValue] = []
    with torch.inference_mode():
        for done, (place, draw, pipeline) in enumerate(passes):
            tally = Tally(STANDARD)
            for inputs, labels in _batches(subject, asked, pipeline, draw):
                with autocast(inputs.device, subject.settings.train.precision):
                    logits = subject.network.evaluated(inputs)
                tally.add(logits, labels)
                subject.report(done * count + tally.count, len(passes) * count, asked.split)
            reached("images of a transform analysed")
            measured = tally.values().items()
            values += [
                AnalysisValue(name, each, {**place, "draw": draw}) for name, each in measured
            ]
    return AnalysisResult(tuple(values))


def _batches(
    subject: AnalysisInput, asked: Robustness, pipeline: Pipeline | None, draw: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of the split in order, changed, with their labels."""
    images = subject.images
    if pipeline is not None:
        yield from changed_images(images, asked.split, pipeline, asked.seed, draw)
        return
    for indices in torch.split(images.splits[asked.split], BATCH):
        yield images.gather(indices)

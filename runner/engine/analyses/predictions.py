"""Predictions: values of each class, computed from the logits of a split, which are kept."""

from __future__ import annotations

import math
from contextlib import closing

import torch
from torch import Tensor

from runner.components import scores
from runner.components.analyses.predictions import Predictions
from runner.core.records import AnalysisValue
from runner.engine.analyses.result import AnalysisInput, AnalysisResult
from runner.engine.stages.evaluate import autocast


def predictions(subject: AnalysisInput, asked: Predictions) -> AnalysisResult:
    """Return what is said of each class, with the confusion matrix and the logits.

    Raises:
        Interrupted: when asked to stop.
    """
    images, split = subject.images, asked.split
    batches: list[Tensor] = []
    done, total = 0, len(images.splits[split])
    with torch.inference_mode(), closing(images.evaluation_batches(split)) as given:
        for inputs, _ in given:
            with autocast(inputs.device, subject.settings.train.precision):
                batches.append(subject.network.evaluated(inputs).float())
            done += len(inputs)
            subject.report(done, total, split)
    logits, labels = torch.cat(batches).cpu().numpy(), images.labels(split)
    found = scores.class_scores(logits, labels)
    columns = {
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
        "auroc": scores.auroc_of_classes(logits, labels),
        "images": found.support,
    }
    values = [
        AnalysisValue(name, float(value), {"class": of_class})
        for name, column in columns.items()
        for of_class, value in zip(images.classes, column, strict=False)
        if math.isfinite(value)
    ]
    bins = scores.calibration(logits, labels)
    arrays = {
        "confusion": scores.confusion_matrix(logits, labels),
        "bin_images": bins.images,
        "bin_confidence": bins.confidence,
        "bin_accuracy": bins.accuracy,
    }
    return AnalysisResult(tuple(values), arrays, {split: logits})

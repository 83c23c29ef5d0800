"""Predictions: values of each class, computed from the logits of a split, which are kept."""

from __future__ import annotations

import math

import numpy as np

from runner.components import scores
from runner.components.analyses.predictions import Predictions
from runner.core.records import AnalysisValue
from runner.engine.analyses.result import AnalysisResult
from runner.engine.kept_logits import KeptLogits


def predictions(kept: KeptLogits, asked: Predictions) -> AnalysisResult:
    """Return what is said of each class, with the confusion matrix."""
    logits, labels = kept.logits, kept.labels
    values = [
        AnalysisValue(name, float(value), {"class": of_class})
        for name, column in scores.columns_of_classes(logits, labels).items()
        for of_class, value in zip(kept.classes, column, strict=True)
        if math.isfinite(value)
    ]
    bins = scores.calibration(logits, labels)
    arrays = {
        "confusion": scores.confusion_matrix(logits, labels),
        "class_names": np.array(kept.classes),
        "bin_images": bins.images,
        "bin_confidence": bins.confidence,
        "bin_accuracy": bins.accuracy,
    }
    return AnalysisResult(tuple(values), arrays)

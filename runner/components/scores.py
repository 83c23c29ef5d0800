"""What logits say of a network, given the labels: confusion, precision, AUROC, calibration.

Pure functions of arrays, logits (N, classes) and labels (N,), in float64 by numpy and
scikit-learn. Of equal logits the first class is predicted. Knows neither networks nor files, and
imports no torch.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BINS = 15
"""Of the calibration error: as wide as each other, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well each class is told from the others, four arrays (classes,).

    Attributes:
        precision: right among the images predicted as the class; NaN where none is.
        recall: right among the images of the class; NaN where there is none.
        f1: harmonic mean of both; NaN where the class neither occurs nor is predicted.
        support: images of the class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Indices


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often predictions are right, by their confidence: the probability of what is predicted.

    Bin i holds confidences above ``edges[i]`` up to and with ``edges[i + 1]``.

    Attributes:
        edges: of the bins, (bins + 1,), equally spaced from 0 to 1.
        images: in each bin.
        confidence: mean in each bin; NaN in an empty one.
        accuracy: share of right predictions in each bin; NaN in an empty one.
        error: expected calibration error: |accuracy - confidence|, mean over all images' bins.
    """

    edges: Floats
    images: Indices
    confidence: Floats
    accuracy: Floats
    error: float


def probabilities(logits: Logits) -> Floats:
    """Return the softmax, (N, classes) float64.

    Raises:
        ValueError: where a logit is no number or infinite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("logits that are not finite have no probabilities")
    values = logits.astype(np.float64)
    values -= values.max(1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(1, keepdims=True)
    return values


def predicted(logits: Logits) -> Indices:
    """Return the class with the largest logit of each image, (N,)."""
    found: Indices = logits.argmax(1).astype(np.int64)
    return found


def confusion_matrix(logits: Logits, labels: Labels) -> Indices:
    """Return how many images of each class (rows) are predicted as each class (columns)."""
    from sklearn import metrics

    classes = range(logits.shape[1])
    found = metrics.confusion_matrix(labels, predicted(logits), labels=classes)
    return np.asarray(found, dtype=np.int64)


def class_scores(logits: Logits, labels: Labels) -> ClassScores:
    """Return precision, recall, F1 and number of images of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted(logits), labels=range(logits.shape[1]), zero_division=np.nan
    )
    return ClassScores(precision, recall, f1, support.astype(np.int64))


def columns_of_classes(logits: Logits, labels: Labels) -> dict[str, Floats | Indices]:
    """Return what is said of each class by name, (classes,) each; NaN where it has none."""
    found = class_scores(logits, labels)
    return {
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
        "auroc": auroc_of_classes(logits, labels),
        "images": found.support,
    }


def balanced_accuracy(logits: Logits, labels: Labels) -> float:
    """Return the mean recall of the classes that occur among the labels."""
    from sklearn.metrics import balanced_accuracy_score

    with warnings.catch_warnings():  # what is predicted need not occur
        warnings.filterwarnings("ignore", message="y_pred contains classes")
        return float(balanced_accuracy_score(labels, predicted(logits)))


def macro_f1(logits: Logits, labels: Labels) -> float:
    """Return the mean F1 of the classes that occur or are predicted."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted(logits), average="macro"))


def top_k_accuracy(logits: Logits, labels: Labels, k: int = 5) -> float:
    """Return the share of images whose class has one of the ``k`` largest logits."""
    from sklearn.metrics import top_k_accuracy_score

    classes = logits.shape[1]
    if k >= classes:
        return 1.0
    if k == 1:
        return float((predicted(logits) == labels).mean())
    backwards = logits[:, ::-1]  # of equal logits, scikit-learn takes the last
    return float(top_k_accuracy_score(classes - 1 - labels, backwards, k=k, labels=range(classes)))


def auroc_of_classes(logits: Logits, labels: Labels) -> Floats:
    """Return the area under each class's ROC curve, the class against all others, (classes,).

    NaN of a class that no image or every image has. Images are ranked by the class's probability.
    """
    from sklearn.metrics import roc_auc_score

    scores = probabilities(logits)
    areas = np.full(logits.shape[1], np.nan)
    images = np.bincount(labels, minlength=len(areas))
    for index in np.flatnonzero((images > 0) & (images < len(labels))):
        areas[index] = roc_auc_score(labels == index, scores[:, index])
    return areas


def auroc(logits: Logits, labels: Labels) -> float:
    """Return the mean area under the ROC curves of the classes that occur, one against the rest.

    NaN where all images are of one class.
    """
    areas = auroc_of_classes(logits, labels)
    known = areas[~np.isnan(areas)]
    return float(known.mean()) if len(known) else float("nan")


def brier(logits: Logits, labels: Labels) -> float:
    """Return the Brier score, from 0 (best) to 2.

    It is the squared difference between probabilities and the right answer (1 for the class of the
    image, 0 for others), summed over classes, mean over images.
    """
    difference = probabilities(logits)
    difference[np.arange(len(labels)), labels] -= 1
    return float(np.square(difference).sum(1).mean())


def calibration(logits: Logits, labels: Labels, bins: int = BINS) -> Calibration:
    """Return how often predictions are right, by how confident they are."""
    edges = np.linspace(0, 1, bins + 1)
    confidence = np.minimum(probabilities(logits).max(1), 1.0)
    right = predicted(logits) == labels
    number = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    images = np.bincount(number, minlength=bins)
    sums = np.bincount(number, weights=confidence, minlength=bins)
    hits = np.bincount(number, weights=right, minlength=bins)
    error = float(np.abs(hits - sums).sum() / len(labels))
    with np.errstate(invalid="ignore"):
        return Calibration(edges, images.astype(np.int64), sums / images, hits / images, error)


def calibration_error(logits: Logits, labels: Labels) -> float:
    """Return the expected calibration error over ``BINS`` bins."""
    return calibration(logits, labels).error


def most_confident(logits: Logits, labels: Labels, is_right: bool, count: int) -> Indices:
    """Return the images that are predicted right, or wrong, with the largest probability first.

    Args:
        logits: (N, classes).
        labels: (N,).
        is_right: which of them.
        count: at most so many; of equal ones the first.
    """
    chosen = np.flatnonzero((predicted(logits) == labels) == is_right)
    confidence = probabilities(logits[chosen]).max(1)
    return chosen[np.argsort(-confidence, kind="stable")][:count]

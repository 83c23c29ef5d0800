"""Measures: names, and totals over batches compared with scikit-learn's functions."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

from runner.components.measures import (
    BY_NAME,
    MEASURES,
    METRIC_NAMES,
    STANDARD,
    Tally,
    metric_parts,
    mode_of,
)
from runner.core.reader import SPLITS

CLASSES = 9


def tallied(logits: torch.Tensor, labels: torch.Tensor, size: int) -> dict[str, float]:
    tally = Tally(MEASURES)
    for some, theirs in zip(logits.split(size), labels.split(size), strict=True):
        tally.add(some, theirs)
    assert tally.count == len(labels)
    return tally.values()


Oracle = Callable[[np.ndarray, np.ndarray, range], float]
ORACLES: dict[str, Oracle] = {
    "loss": lambda labels, scores, classes: log_loss(labels, scores, labels=classes),
    "accuracy": lambda labels, scores, classes: accuracy_score(labels, scores.argmax(1)),
    "top5_accuracy": lambda labels, scores, classes: top_k_accuracy_score(
        labels, scores, k=5, labels=classes
    ),
}
"""What another library says of labels (N,), probabilities (N, classes) and the classes."""


@pytest.mark.parametrize("name", [measure.name for measure in MEASURES])
def test_measures_are_those_of_scikit_learn_however_images_are_batched(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(203, CLASSES, generator=generator)
    labels = torch.randint(0, CLASSES, (203,), generator=generator)
    whole, parts = tallied(logits, labels, 203)[name], tallied(logits, labels, 32)[name]
    scores = logits.double().softmax(1).numpy()
    assert whole == pytest.approx(ORACLES[name](labels.numpy(), scores, range(CLASSES)), rel=1e-6)
    assert parts == pytest.approx(whole, rel=1e-12)


def test_top5_accuracy_takes_the_first_of_equal_logits() -> None:
    measure, labels = BY_NAME["top5_accuracy"], torch.arange(CLASSES)
    assert measure.total(torch.zeros(CLASSES, CLASSES), labels).item() == 5
    without_number = torch.full((CLASSES, CLASSES), float("nan"))
    assert measure.total(without_number, labels).item() == 0


def test_measures_of_half_precision_are_added_up_in_full() -> None:
    logits = torch.randn(64, CLASSES).bfloat16()
    labels = torch.randint(0, CLASSES, (64,))
    assert tallied(logits, labels, 64) == tallied(logits.float(), labels, 64)


def test_names_of_metrics_are_split_at_their_split_and_say_what_is_better() -> None:
    assert metric_parts("train_eval_top5_accuracy") == ("train_eval", "top5_accuracy")
    assert metric_parts("train_accuracy") == ("train", "accuracy")
    assert len(set(METRIC_NAMES)) == len(METRIC_NAMES) == len(SPLITS) * len(MEASURES)
    assert (mode_of("val_loss"), mode_of("val_top5_accuracy")) == ("min", "max")
    assert [each.name for each in STANDARD] == ["loss", "accuracy"]

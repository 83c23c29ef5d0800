"""Measures: names, and totals over batches compared with scikit-learn's functions."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
    top_k_accuracy_score,
)

from runner.components.measures import (
    BY_NAME,
    MEASURES,
    METRIC_NAMES,
    STANDARD,
    SUMMED,
    Monitor,
    SummedMeasure,
    TrainingMonitor,
    WholeMeasure,
    metric_parts,
    mode_of,
)
from runner.components.scores import BINS
from runner.core.reader import SPLITS
from runner.engine.tally import Tally, on_host

CLASSES = 9


def tallied(logits: torch.Tensor, labels: torch.Tensor, size: int) -> dict[str, float]:
    tally = Tally(SUMMED)
    for some, theirs in zip(logits.split(size), labels.split(size), strict=True):
        tally.add(some, theirs)
    assert tally.count == len(labels)
    whole = [each for each in MEASURES if isinstance(each, WholeMeasure)]
    others = {each.name: each.of(logits.float().numpy(), labels.numpy()) for each in whole}
    return tally.values() | others


Oracle = Callable[[np.ndarray, np.ndarray, range], float]
ORACLES: dict[str, Oracle] = {
    "loss": lambda labels, scores, classes: log_loss(labels, scores, labels=classes),
    "accuracy": lambda labels, scores, classes: accuracy_score(labels, scores.argmax(1)),
    "top5_accuracy": lambda labels, scores, classes: top_k_accuracy_score(
        labels, scores, k=5, labels=classes
    ),
    "balanced_accuracy": lambda labels, scores, classes: balanced_accuracy_score(
        labels, scores.argmax(1)
    ),
    "macro_f1": lambda labels, scores, classes: f1_score(labels, scores.argmax(1), average="macro"),
    "auroc": lambda labels, scores, classes: roc_auc_score(labels, scores, multi_class="ovr"),
    "brier": lambda labels, scores, classes: float(
        np.mean(((scores - np.eye(len(classes))[labels]) ** 2).sum(1))
    ),
    "ece": lambda labels, scores, classes: (
        sum(
            abs((scores.argmax(1) == labels)[inside].sum() - scores.max(1)[inside].sum())
            for low in range(15)
            for inside in [(scores.max(1) > low / 15) & (scores.max(1) <= (low + 1) / 15)]
        )
        / len(labels)
    ),
}
"""What another library says of labels (N,), probabilities (N, classes) and the classes."""


@pytest.mark.slow
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


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_means_over_classes_are_those_of_the_classes_that_occur() -> None:
    generator = torch.Generator().manual_seed(5)
    logits, labels = torch.randn(60, 6, generator=generator), torch.arange(60) % 7 % 3
    logits[:, 4] = -9  # neither occurs nor is predicted
    found, guesses = tallied(logits, labels, 16), logits.argmax(1)
    expected = balanced_accuracy_score(labels, guesses)
    assert found["balanced_accuracy"] == pytest.approx(expected)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, guesses, average="macro"))


def test_what_needs_all_logits_is_no_monitor() -> None:
    monitors = {*get_args(Monitor), *get_args(TrainingMonitor)}
    assert {"val_macro_f1", "train_balanced_accuracy", "test_top5_accuracy"} <= monitors
    assert not [each for each in monitors if each.endswith(("auroc", "brier", "ece"))]
    assert f" {BINS} bins" in BY_NAME["ece"].about


def test_names_of_metrics_are_split_at_their_split_and_say_what_is_better() -> None:
    assert metric_parts("train_eval_top5_accuracy") == ("train_eval", "top5_accuracy")
    assert metric_parts("train_accuracy") == ("train", "accuracy")
    assert len(set(METRIC_NAMES)) == len(METRIC_NAMES) == len(SPLITS) * len(MEASURES)
    assert (mode_of("val_loss"), mode_of("val_top5_accuracy")) == ("min", "max")
    assert [each.name for each in STANDARD] == ["loss", "accuracy"]


class Steps(SummedMeasure):
    """Totals of a shape of their own, whose sum in float64 depends on the order."""

    name = "steps"
    about = "for this test"

    def total(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return logits.double().sum(0)

    def value(self, total: torch.Tensor, count: int) -> float:
        return hash(tuple(total.tolist()))


@pytest.mark.parametrize("read_at", [[], [0], [2, 3]])
def test_totals_are_added_in_the_order_of_the_batches(read_at: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((60, 4), generator=generator) * 10.0 ** (torch.arange(60) % 9)[:, None]
    tally, expected = Tally([Steps(), BY_NAME["accuracy"]]), torch.zeros(4, dtype=torch.float64)
    for number, some in enumerate(logits.split(7)):
        expected = expected + some.double().sum(0)
        tally.add(some, torch.zeros(len(some), dtype=torch.int64))
        if number in read_at:
            tally.values()
    assert tally.values() == {
        "steps": hash(tuple(expected.tolist())),
        "accuracy": float((logits.argmax(1) == 0).double().mean()),
    }


def test_counting_a_batch_adds_nothing_up_and_reading_copies_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists = [[torch.tensor(1), torch.tensor(2)], [torch.tensor([0.5, 1.5], dtype=torch.float64)]]
    copies: list[torch.Tensor] = []
    real = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda each: copies.append(each) or real(each))
    packed = on_host(lists)
    assert len(copies) == 1
    assert [[each.tolist() for each in part] for part in packed] == [[1, 2], [[0.5, 1.5]]]
    assert [part[0].dtype for part in packed] == [torch.int64, torch.float64]

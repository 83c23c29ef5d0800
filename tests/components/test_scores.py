"""What is computed of logits and labels, held against other libraries and against loops."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.components import scores

Case = tuple[NDArray[np.float32], NDArray[np.int64]]


def case(classes: int = 9, images: int = 203, occurring: int | None = None, seed: int = 3) -> Case:
    """Return logits that are right about half of the time, and labels of the first classes."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, occurring or classes, images)
    logits = draws.normal(size=(images, classes)).astype(np.float32)
    logits[np.arange(images), labels] += 1.5
    return logits, labels


CASES = {
    "all classes": case(),
    "two classes": case(2),
    "classes that do not occur": case(12, occurring=7),
    "one image of a class": case(6, images=7),
}


@pytest.fixture(params=CASES)
def given(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_confusion_and_scores_of_classes_are_counts(given: Case) -> None:
    logits, labels = given
    classes, guesses = logits.shape[1], logits.argmax(1)
    matrix = scores.confusion_matrix(logits, labels)
    found = scores.class_scores(logits, labels)
    for own in range(classes):
        for other in range(classes):
            assert matrix[own, other] == ((labels == own) & (guesses == other)).sum()
        right, there, named = matrix[own, own], matrix[own].sum(), matrix[:, own].sum()
        assert found.support[own] == there
        for value, top, bottom in (
            (found.precision[own], right, named),
            (found.recall[own], right, there),
            (found.f1[own], 2 * right, there + named),
        ):
            assert np.isnan(value) if not bottom else value == pytest.approx(top / bottom)


def test_means_over_classes_leave_out_those_that_do_not_occur(given: Case) -> None:
    logits, labels = given
    found = scores.class_scores(logits, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scores.balanced_accuracy(logits, labels) == pytest.approx(np.nanmean(found.recall))
        assert scores.macro_f1(logits, labels) == pytest.approx(np.nanmean(found.f1))


def test_top_k_counts_the_first_of_equal_logits_first(given: Case) -> None:
    logits, labels = given
    classes = logits.shape[1]
    for rounded in (logits, logits.round()):
        order = np.argsort(-rounded, axis=1, kind="stable")
        for k in (1, 2, 5, classes):
            expected = (order[:, :k] == labels[:, None]).any(1).mean()
            assert scores.top_k_accuracy(rounded, labels, k) == pytest.approx(expected)


def test_auroc_is_the_share_of_pairs_in_the_right_order(given: Case) -> None:
    logits, labels = given
    chances = scores.probabilities(logits)
    areas = []
    for own in range(logits.shape[1]):
        inside, outside = chances[labels == own, own], chances[labels != own, own]
        if len(inside) and len(outside):
            gaps = inside[:, None] - outside[None]
            areas.append(float(((gaps > 0) + (gaps == 0) / 2).mean()))
    assert scores.auroc(logits, labels) == pytest.approx(np.mean(areas))
    found = scores.auroc_of_classes(logits, labels)
    assert found[~np.isnan(found)] == pytest.approx(areas)


def test_auroc_of_one_class_alone_is_no_number() -> None:
    logits, labels = case(4)
    assert np.isnan(scores.auroc(logits, np.zeros_like(labels)))


def test_brier_score_is_a_sum_over_classes(given: Case) -> None:
    logits, labels = given
    total = 0.0
    for row, label in zip(scores.probabilities(logits).tolist(), labels.tolist(), strict=True):
        total += sum((chance - (own == label)) ** 2 for own, chance in enumerate(row))
    assert scores.brier(logits, labels) == pytest.approx(total / len(labels))
    sure = np.array([[100.0, 0], [100, 0]])
    assert scores.brier(sure, np.array([0, 0])) == pytest.approx(0)
    assert scores.brier(sure, np.array([1, 1])) == pytest.approx(2)


def test_calibration_bins_hold_what_is_above_one_edge_up_to_the_next() -> None:
    halves = np.log(np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.75, 0.25, 0], [1, 0, 0]]) + 1e-9)
    found = scores.calibration(halves, np.array([0, 1, 0, 1]), bins=4)
    assert found.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.images.tolist() == [0, 2, 1, 1]
    assert found.accuracy[1:].tolist() == [0.5, 1, 0]
    assert np.isnan(found.accuracy[0])
    assert np.isnan(found.confidence[0])
    assert found.error == pytest.approx((2 * 0 + 0.25 + 1) / 4, abs=1e-6)
    certain = np.array([[1000.0, 0], [0, 1000]], dtype=np.float32)
    assert scores.calibration(certain, np.array([0, 1])).images[-1] == 2


def test_most_confident_images_come_first(given: Case) -> None:
    logits, labels = given
    confidence, right = scores.probabilities(logits).max(1), logits.argmax(1) == labels
    for is_right in (True, False):
        found = scores.most_confident(logits, labels, is_right, 5)
        expected = sorted(np.flatnonzero(right == is_right), key=lambda i: (-confidence[i], i))
        assert found.tolist() == expected[:5]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_have_no_probabilities(wrong: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        scores.probabilities(np.array([[0, wrong]]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_torchmetrics(given: Case) -> None:
    import torch
    import torchmetrics.functional.classification as oracle

    logits, labels = given
    classes = logits.shape[1]
    chances, truth = torch.tensor(scores.probabilities(logits)), torch.tensor(labels)
    guesses = torch.tensor(logits.argmax(1))

    def of_classes(name: str) -> NDArray[np.float64]:
        measure = getattr(oracle, f"multiclass_{name}")
        return np.asarray(measure(guesses, truth, num_classes=classes, average=None))

    own = scores.class_scores(logits, labels)
    for name, values in (
        ("precision", own.precision),
        ("recall", own.recall),
        ("f1_score", own.f1),
    ):
        assert np.nan_to_num(values) == pytest.approx(of_classes(name), abs=1e-6)
    matrix = oracle.multiclass_confusion_matrix(guesses, truth, num_classes=classes)
    assert scores.confusion_matrix(logits, labels).tolist() == matrix.tolist()
    f1 = oracle.multiclass_f1_score(guesses, truth, num_classes=classes, average="macro")
    assert scores.macro_f1(logits, labels) == pytest.approx(float(f1), abs=1e-6)
    occurring = own.support > 0
    recalls = of_classes("recall")[occurring]
    assert scores.balanced_accuracy(logits, labels) == pytest.approx(recalls.mean(), abs=1e-6)
    areas = oracle.multiclass_auroc(chances, truth, num_classes=classes, average=None)
    assert scores.auroc(logits, labels) == pytest.approx(
        float(np.asarray(areas)[occurring].mean()), abs=1e-6
    )
    if classes > 5:
        top = oracle.multiclass_accuracy(
            chances, truth, num_classes=classes, top_k=5, average="micro"
        )
        assert scores.top_k_accuracy(logits, labels) == pytest.approx(float(top), abs=1e-6)
    ours = scores.calibration_error(logits, labels)
    theirs = oracle.multiclass_calibration_error(
        chances, truth, num_classes=classes, n_bins=scores.BINS
    )
    assert ours == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_calibration_error_is_that_of_netcal(given: Case) -> None:
    oracle = pytest.importorskip("netcal.metrics", reason="netcal brings fourteen packages along")
    logits, labels = given
    confidence = scores.probabilities(logits).max(1)
    right = logits.argmax(1) == labels
    # as of detections: of two classes it would take the second one's probability alone
    found = oracle.ECE(scores.BINS, detection=True).measure(confidence, right)
    assert scores.calibration_error(logits, labels) == pytest.approx(found, abs=1e-6)


@pytest.mark.slow
def test_scores_need_no_torch() -> None:
    code = (
        "import sys; import numpy as np; from runner.components import scores\n"
        "scores.auroc(np.eye(3), np.arange(3)); scores.class_scores(np.eye(3), np.arange(3))\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

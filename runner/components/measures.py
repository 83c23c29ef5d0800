"""Measures. To add one: a class, and an instance of it in MEASURES below.

A measure is a number computed from a network's outputs on a split. That entry alone makes it a
table column and a term of formulas, under the name of its split and its own, as `val_accuracy`;
where it is a sum over batches, a monitor too. Knows neither data sets nor networks nor where
results are stored.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from runner.core.keys import KEY_LENGTH
from runner.core.reader import LAST, SPLITS

if TYPE_CHECKING:
    from torch import Tensor

    from runner.components.scores import Labels, Logits


OWN_PREFIX = "own_"
"""With which the stored names of own metrics begin; behind it stands their key."""


class Measure(ABC):
    """A number of a network on a split.

    Attributes:
        name: how specs and records call it; may have underscores.
        about: what it is, for people.
        mode: whether more or less of it is better.
        unit: for axes.
        is_standard: measured after each epoch and in each test; others where something asks.
        least_classes: of a data set on which it says anything.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    mode: ClassVar[Literal["min", "max"]] = "max"
    unit: ClassVar[str] = "fraction"
    is_standard: ClassVar[bool] = False
    least_classes: ClassVar[int] = 1


class SummedMeasure(Measure):
    """One from totals that are added up over batches: it can be measured after each epoch."""

    @abstractmethod
    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return what a batch adds to the total, of any shape, int64 or as `in_full` makes it.

        Args:
            logits: (B, classes), float32.
            labels: (B,), int64.
        """

    def value(self, total: Tensor, count: int) -> float:
        """Return the measure over all batches, by default the mean over their images.

        Args:
            total: what all batches add up to.
            count: how many images they had.
        """
        return total.item() / count


class WholeMeasure(Measure):
    """One that needs the logits of all images at once: it is measured on kept weights only."""

    @abstractmethod
    def of(self, logits: Logits, labels: Labels) -> float:
        """Return the measure, NaN where these images have none: then it is not recorded.

        Args:
            logits: (N, classes), float32.
            labels: (N,), int64.
        """


class OfOwnCode(Measure):
    """What is known of every metric of the user's own without its code; see `own_metric`."""

    name = "own"
    about = "computed by a class in a Python file"
    unit = ""


class Loss(SummedMeasure):
    """Cross-entropy without label smoothing."""

    name = "loss"
    about = "cross-entropy, mean over the images; in training, the loss that is minimised"
    mode = "min"
    unit = "nats"
    is_standard = True

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the sum of the images' losses, in float64 where the device has it."""
        from torch.nn import functional

        return in_full(functional.cross_entropy(logits, labels, reduction="none")).sum()


class Accuracy(SummedMeasure):
    """How often the class with the largest logit is right."""

    name = "accuracy"
    about = "share of the images whose class is predicted"
    is_standard = True

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return how many images are predicted right."""
        return (logits.argmax(1) == labels).sum()


class Top5Accuracy(SummedMeasure):
    """How often the right class has one of the five largest logits."""

    name = "top5_accuracy"
    about = "share of the images whose class is among the five that are predicted first"
    least_classes = 6

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return how many images have their class in front; of equal logits, the first counts."""
        import torch

        own = logits.gather(1, labels[:, None])
        is_before = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
        in_front = ~(logits <= own) | ((logits == own) & is_before)  # no number: in front
        return (in_front.sum(1) < 5).sum()


class BalancedAccuracy(SummedMeasure):
    """How often a class is predicted right, each class counting the same."""

    name = "balanced_accuracy"
    about = "share of a class that is predicted right, mean over the classes that occur"

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the counts of classes, (3, classes)."""
        return _counts_of_classes(logits, labels)

    def value(self, total: Tensor, count: int) -> float:
        """Return the mean over the classes that occur."""
        right, images, _ = total[:, total[1] > 0].double()
        return float((right / images).mean())


class MacroF1(SummedMeasure):
    """F1 of each class, each class counting the same."""

    name = "macro_f1"
    about = (
        "harmonic mean of precision and recall of a class, mean over the classes that occur or are"
        " predicted"
    )

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the counts of classes, (3, classes)."""
        return _counts_of_classes(logits, labels)

    def value(self, total: Tensor, count: int) -> float:
        """Return the mean over the classes of which there is anything to count."""
        right, images, guesses = total[:, total[1] + total[2] > 0].double()
        return float((2 * right / (images + guesses)).mean())


def _counts_of_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Return how many images of each class are right, are there and are predicted, (3, classes)."""
    import torch

    classes = torch.arange(logits.shape[1], device=logits.device)
    own, guessed = labels[:, None] == classes, logits.argmax(1)[:, None] == classes
    return torch.stack([(own & guessed).sum(0), own.sum(0), guessed.sum(0)])


class Auroc(WholeMeasure):
    """Area under the ROC curve, one class against the rest."""

    name = "auroc"
    about = "area under the ROC curve of a class against all others, mean over those that occur"
    least_classes = 2

    def of(self, logits: Logits, labels: Labels) -> float:
        """Return the mean over the classes that occur."""
        from runner.components.scores import auroc

        return auroc(logits, labels)


class Brier(WholeMeasure):
    """Brier score of all classes' probabilities."""

    name = "brier"
    about = "squared error of the probabilities, summed over classes (0 to 2), mean over the images"
    mode = "min"
    unit = "squared error"

    def of(self, logits: Logits, labels: Labels) -> float:
        """Return the mean over the images."""
        from runner.components.scores import brier

        return brier(logits, labels)


class CalibrationError(WholeMeasure):
    """Expected calibration error."""

    name = "ece"
    about = (
        "expected calibration error: share of right predictions against their probability, mean"
        " difference over 15 bins of equal width"
    )
    mode = "min"

    def of(self, logits: Logits, labels: Labels) -> float:
        """Return the mean over the bins, each counting as its images."""
        from runner.components.scores import calibration_error

        return calibration_error(logits, labels)


def in_full(values: Tensor) -> Tensor:
    """Return numbers in float64, to be added up; on mps, which lacks it, as they are."""
    return values if values.device.type == "mps" else values.double()


MEASURES: tuple[Measure, ...] = (
    Loss(),
    Accuracy(),
    Top5Accuracy(),
    BalancedAccuracy(),
    MacroF1(),
    Auroc(),
    Brier(),
    CalibrationError(),
)

SUMMED = tuple(each for each in MEASURES if isinstance(each, SummedMeasure))
STANDARD = tuple(measure for measure in SUMMED if measure.is_standard)
BY_NAME = {measure.name: measure for measure in MEASURES}
_METRICS = {f"{split}_{name}": (split, name) for split in SPLITS for name in BY_NAME}

METRIC_NAMES = tuple(_METRICS)
"""Full names of the program's own metrics: of each split, each measure."""

_OF_OWN_CODE = OfOwnCode()
_OWN_NAME = re.compile(rf"({'|'.join(SPLITS)})_({OWN_PREFIX}[0-9a-f]{{{KEY_LENGTH}}})")


def is_metric(name: str) -> bool:
    """Return whether a name is one of ``METRIC_NAMES``, or a stored one of an own metric."""
    return name in _METRICS or is_own_metric(name)


def is_own_metric(name: str) -> bool:
    """Return whether a name is the stored full name of an own metric, as ``test_own_3f…``."""
    return _OWN_NAME.fullmatch(name) is not None


def metric_parts(metric: str) -> tuple[str, str]:
    """Return split and measure of a metric's full name; of an own one, as it is stored.

    Raises:
        KeyError: for a name that is no metric's.
    """
    own = _OWN_NAME.fullmatch(metric)
    return (own[1], own[2]) if own else _METRICS[metric]


def measure_of(metric: str) -> Measure:
    """Return the measure of a metric's full name.

    Raises:
        KeyError: for a name that is no metric's.
    """
    return _OF_OWN_CODE if is_own_metric(metric) else BY_NAME[metric_parts(metric)[1]]


def mode_of(monitor: object) -> Literal["min", "max"]:
    """Return whether a monitor is to be small or large; of what is no metric, large."""
    if isinstance(monitor, str) and monitor in _METRICS:
        return measure_of(monitor).mode
    return "max"


def _metrics_of(*splits: str) -> tuple[str, ...]:
    return tuple(f"{split}_{each.name}" for split in splits for each in SUMMED)


if TYPE_CHECKING:
    TrainingMonitor = str
    Monitor = str
else:
    TrainingMonitor = Literal[_metrics_of("val", "train")]
    Monitor = Literal[(*_metrics_of("val", "test", "train", "train_eval"), LAST)]

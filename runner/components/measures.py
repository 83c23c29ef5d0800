"""Measures. To add one: a class, and an instance of it in MEASURES below.

A measure is a number computed from a network's outputs on a split. That entry alone makes it a
table column, a term of formulas and a monitor, under the name of its split and its own, as
`val_accuracy`. Knows neither data sets nor networks nor where results are stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, ClassVar, Literal

from runner.core.reader import LAST, SPLITS

if TYPE_CHECKING:
    from torch import Tensor


class Measure(ABC):
    """A number of a network on a split, from totals that are added up over batches.

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


class Loss(Measure):
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


class Accuracy(Measure):
    """How often the class with the largest logit is right."""

    name = "accuracy"
    about = "share of the images whose class is predicted"
    is_standard = True

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return how many images are predicted right."""
        return (logits.argmax(1) == labels).sum()


class Top5Accuracy(Measure):
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


def in_full(values: Tensor) -> Tensor:
    """Return numbers in float64, to be added up; on mps, which lacks it, as they are."""
    return values if values.device.type == "mps" else values.double()


MEASURES: tuple[Measure, ...] = (Loss(), Accuracy(), Top5Accuracy())

STANDARD = tuple(measure for measure in MEASURES if measure.is_standard)
BY_NAME = {measure.name: measure for measure in MEASURES}
_METRICS = {f"{split}_{name}": (split, name) for split in SPLITS for name in BY_NAME}

METRIC_NAMES = tuple(_METRICS)
"""Full names of all metrics: of each split, each measure."""


def metric_parts(metric: str) -> tuple[str, str]:
    """Return split and measure of a metric's full name.

    Raises:
        KeyError: for a name that is none of ``METRIC_NAMES``.
    """
    return _METRICS[metric]


def measure_of(metric: str) -> Measure:
    """Return the measure of a metric's full name.

    Raises:
        KeyError: for a name that is none of ``METRIC_NAMES``.
    """
    return BY_NAME[metric_parts(metric)[1]]


def mode_of(monitor: object) -> Literal["min", "max"]:
    """Return whether a monitor is to be small or large; of what is no metric, large."""
    if isinstance(monitor, str) and monitor in _METRICS:
        return measure_of(monitor).mode
    return "max"


class Tally:
    """Measures over the batches of a pass; totals stay on the device until they are read.

    They are then copied together and added on the host, in the order of the batches.
    """

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = measures
        self._waiting: list[list[Tensor]] = [[] for _ in measures]
        self._sums: list[Tensor | None] = [None for _ in measures]
        self._count_of_sums = 0
        self.count = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch, logits (B, classes) and labels (B,); does not wait for the device."""
        logits = logits.float()
        for measure, waiting in zip(self._measures, self._waiting, strict=True):
            waiting.append(measure.total(logits, labels))
        self.count += len(labels)

    def values(self) -> dict[str, float]:
        """Return the measures by name; waits for the device, once."""
        totals, count = self.take()
        is_there = not any(each and each[0].device.type != "cpu" for each in totals)
        self.put(totals if is_there else on_host(totals), count)
        return self.values_so_far()

    def take(self) -> tuple[list[list[Tensor]], int]:
        """Return the totals that were not added yet, on the device, and the count with them.

        They must be given to :meth:`put`, in the order in which they were taken.
        """
        taken, self._waiting = self._waiting, [[] for _ in self._measures]
        return taken, self.count

    def put(self, totals: Sequence[Sequence[Tensor]], count: int) -> None:
        """Add totals that were taken, now on the host, of ``count`` images with all before."""
        for index, some in enumerate(totals):
            before = self._sums[index]
            self._sums[index] = _added([*([] if before is None else [before]), *some])
        self._count_of_sums = count

    def values_so_far(self) -> dict[str, float]:
        """Return the measures by name over what was added; waits for nothing."""
        found: dict[str, float] = {}
        for measure, total in zip(self._measures, self._sums, strict=True):
            assert total is not None, "no batch was counted"
            found[measure.name] = measure.value(total, self._count_of_sums)
        return found


def on_host(lists: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """Return lists of tensors on the CPU, copied there as one."""
    if not any(lists):
        return [[] for _ in lists]
    return unpacked(packed(lists).cpu(), lists)


def packed(lists: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return the bytes of all tensors of lists one behind the other, on their device."""
    import torch

    return torch.cat([each.reshape(-1).view(torch.uint8) for some in lists for each in some])


def unpacked(data: Tensor, lists: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """Return what was packed, from its bytes on the CPU.

    Args:
        data: what `packed` made of ``lists``, copied.
        lists: tell types and shapes; are not read.
    """
    import torch

    sizes = [each.numel() * each.element_size() for some in lists for each in some]
    parts = iter(torch.split(data, sizes))  # a part may begin where its type must not: clone
    return [
        [next(parts).clone().view(each.dtype).view(each.shape) for each in some] for some in lists
    ]


def _added(totals: Sequence[Tensor]) -> Tensor | None:
    """Return the sum in their order, or None of nothing."""
    import torch

    if not totals:
        return None
    if totals[0].dtype == torch.int64:
        return torch.stack(list(totals)).sum(0)
    return reduce(add, totals)


def _metrics_of(*splits: str) -> tuple[str, ...]:
    return tuple(f"{split}_{name}" for split in splits for name in BY_NAME)


if TYPE_CHECKING:
    TrainingMonitor = str
    Monitor = str
else:
    TrainingMonitor = Literal[_metrics_of("val", "train")]
    Monitor = Literal[(*_metrics_of("val", "test", "train", "train_eval"), LAST)]

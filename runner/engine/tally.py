"""Totals of measures, added up over the batches of a pass.

They stay on the device until they are read, and are then copied together. Knows of a measure only
that its totals are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from runner.components.measures import Measure, SummedMeasure, WholeMeasure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Tally:
    """Measures over the batches of a pass; totals stay on the device until they are read.

    They are then copied together and added on the host, in the order of the batches.
    """

    def __init__(self, measures: Sequence[SummedMeasure]) -> None:
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

    def sums(self) -> list[Tensor]:
        """Return the totals of what was added, on the CPU, one for each measure."""
        return [each for each in self._sums if each is not None]

    def go_on(self, sums: Sequence[Tensor], count: int) -> None:
        """Begin with totals of ``count`` images that :meth:`sums` returned."""
        self.put([[each] for each in sums], count)
        self.count = count

    def values_so_far(self) -> dict[str, float]:
        """Return the measures by name over what was added; waits for nothing."""
        found: dict[str, float] = {}
        for measure, total in zip(self._measures, self._sums, strict=True):
            assert total is not None, "no batch was counted"
            found[measure.name] = measure.value(total, self._count_of_sums)
        return found


def values_of_logits(
    logits: NDArray[np.float32], labels: NDArray[np.int64], measures: Sequence[Measure]
) -> dict[str, float]:
    """Return measures of logits (N, classes) and labels (N,) by name.

    Of a measure that needs all images at once, NaN where these have none.
    """
    import torch

    tally = Tally([each for each in measures if isinstance(each, SummedMeasure)])
    tally.add(torch.from_numpy(logits), torch.from_numpy(labels))
    values = tally.values()
    for each in measures:
        if isinstance(each, WholeMeasure):
            values[each.name] = each.of(logits, labels)
    return {each.name: values[each.name] for each in measures}


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

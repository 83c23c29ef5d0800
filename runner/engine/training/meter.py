"""What a pass over the training images measures: losses of steps, averages, progress.

What the steps give stays on the device until it is asked for; it is then copied together and added
on the host, in float64 and in the order of the steps. To ask does not wait for the device, so that
on a GPU the answer comes some steps later.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from runner.components.measures import SummedMeasure, in_full
from runner.core.records import Metric
from runner.engine.context import Progress
from runner.engine.tally import Tally
from runner.engine.training.reading import Reading
from runner.engine.training.state import StartedEpoch


class Meter:
    """The loss that is minimised and the other measures over a pass.

    The loss is the mean over the images, each counting as its class does in a loss with class
    weights: that of the pass as one batch, the network being at each step what it was.

    Attributes:
        losses: of the steps that were read, in order.
    """

    def __init__(
        self,
        epoch: int,
        epochs: int,
        total: int,
        measures: Sequence[SummedMeasure],
        weights: Tensor | None = None,
    ) -> None:
        """Begin a pass.

        Args:
            epoch: from 1.
            epochs: the most of the training.
            total: steps of the pass.
            measures: what is measured.
            weights: of the classes in the loss, (outputs,) on the device; None where all count one.
        """
        self._epoch, self._epochs, self._total = epoch, epochs, total
        self._tally = Tally([each for each in measures if each.name != "loss"])
        self._weights = weights
        self._waiting: list[Tensor] = []
        self._waiting_sizes: list[Tensor] = []
        self._sizes: list[float] = []
        self._asked: tuple[Reading, int] | None = None
        self._sum = self._size = 0.0
        self.losses: list[float] = []

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one step; does not wait for the device."""
        self._waiting.append(loss)
        if self._weights is None:
            self._sizes.append(len(labels))
        else:
            self._waiting_sizes.append(in_full(self._weights.index_select(0, labels)).sum())
        self._tally.add(logits, labels)

    def ask(self) -> None:
        """Ask for all steps so far, unless an answer is on its way; does not wait for a GPU."""
        if self._asked is None and self._waiting:
            totals, count = self._tally.take()
            sizes = [torch.stack(self._waiting_sizes)] if self._waiting_sizes else []
            self._asked = Reading([[torch.stack(self._waiting)], sizes, *totals]), count
            self._waiting, self._waiting_sizes = [], []

    def has_answer(self) -> bool:
        """Return whether steps that were asked for are read now; does not wait."""
        if self._asked is None or not self._asked[0].is_there():
            return False
        self._take_answer()
        return True

    def read(self) -> None:
        """Read all steps; waits for the device."""
        self._take_answer()
        self.ask()
        self._take_answer()

    def so_far(self, seconds: float) -> StartedEpoch:
        """Return what was measured up to here, in a pass of so many seconds; waits for the device.

        At least one step must have been counted.
        """
        self.read()
        return StartedEpoch(
            losses=tuple(self.losses),
            sizes=tuple(self._sizes),
            images=self._tally.count,
            sums=tuple(self._tally.sums()),
            seconds=seconds,
        )

    def go_on(self, started: StartedEpoch) -> None:
        """Begin behind the steps of a pass that was stopped."""
        self._tally.go_on(started.sums, started.images)
        self._sizes = list(started.sizes)
        self._count(started.losses)

    def progress(self) -> Progress:
        """Return where the pass stood at the last step that was read."""
        values, step = self._values(), len(self.losses)
        return Progress(
            step, self._total, self._epoch, self._epochs, values["loss"], values["accuracy"]
        )

    def metrics(self) -> tuple[Metric, ...]:
        """Return the averages over the steps that were read."""
        return tuple(
            Metric(self._epoch, "train", name, value) for name, value in self._values().items()
        )

    def _take_answer(self) -> None:
        if self._asked is None:
            return
        (reading, count), self._asked = self._asked, None
        (losses,), sizes, *totals = reading.lists()
        self._tally.put(totals, count)
        self._sizes += [size for some in sizes for size in some.tolist()]
        self._count(losses.tolist())

    def _count(self, losses: Sequence[float]) -> None:
        for loss in losses:
            size = self._sizes[len(self.losses)]
            self._sum += loss * size
            self._size += size
            self.losses.append(loss)

    def _values(self) -> dict[str, float]:
        return {"loss": self._sum / self._size, **self._tally.values_so_far()}

"""What a pass over the training images measures: losses of steps, averages, progress.

What the steps give stays on the device until it is asked for; it is then copied together and added
on the host, in float64 and in the order of the steps. To ask does not wait for the device, so that
on a GPU the answer comes some steps later.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from runner.components.measures import SummedMeasure
from runner.core.records import Metric
from runner.engine.context import Progress
from runner.engine.tally import Tally
from runner.engine.training.reading import Reading


class Meter:
    """The loss that is minimised and the other measures over a pass.

    Attributes:
        losses: of the steps that were read, in order.
    """

    def __init__(
        self, epoch: int, epochs: int, total: int, measures: Sequence[SummedMeasure]
    ) -> None:
        self._epoch, self._epochs, self._total = epoch, epochs, total
        self._tally = Tally([each for each in measures if each.name != "loss"])
        self._waiting: list[Tensor] = []
        self._sizes: list[int] = []
        self._asked: tuple[Reading, int] | None = None
        self._sum, self._count = 0.0, 0
        self.losses: list[float] = []

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one step; does not wait for the device."""
        self._waiting.append(loss)
        self._sizes.append(len(labels))
        self._tally.add(logits, labels)

    def ask(self) -> None:
        """Ask for all steps so far, unless an answer is on its way; does not wait for a GPU."""
        if self._asked is None and self._waiting:
            totals, count = self._tally.take()
            self._asked = Reading([[torch.stack(self._waiting)], *totals]), count
            self._waiting = []

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
        (losses,), *totals = reading.lists()
        self._tally.put(totals, count)
        for loss in losses.tolist():
            self._sum += loss * self._sizes[len(self.losses)]
            self.losses.append(loss)
        self._count = count

    def _values(self) -> dict[str, float]:
        return {"loss": self._sum / self._count, **self._tally.values_so_far()}

"""Evaluation: the measures of a network on one split, or of logits that were kept.

Gives metrics, and logits where they are wanted; what becomes of these is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.measures import Measure, SummedMeasure
from runner.components.settings import METRIC_SPLITS
from runner.core.records import Metric
from runner.engine.data.samples import Samples
from runner.engine.network.build import Network
from runner.engine.tally import Tally, values_of_logits

HOST = torch.device("cpu")


class Logits:
    """The logits of a pass, gathered on one device.

    On the network's own, no batch is waited for. On the host, a GPU holds those of one batch only,
    but each is waited for.
    """

    def __init__(self, home: torch.device = HOST) -> None:
        self._home = home
        self._rows: Tensor | None = None
        self._count = 0

    def add(self, logits: Tensor, total: int) -> None:
        """Take a batch (B, classes) of a pass over ``total`` images."""
        if self._rows is None:
            shape = (total, logits.shape[1])
            self._rows = torch.empty(shape, dtype=torch.float32, device=self._home)
        self._rows[self._count : self._count + len(logits)].copy_(logits)
        self._count += len(logits)

    def whole(self) -> NDArray[np.float32]:
        """Return all of them, (N, classes), when the pass has ended; waits for the device."""
        assert self._rows is not None, "a pass without images"
        found: NDArray[np.float32] = self._rows[: self._count].cpu().numpy()
        return found


def evaluate(
    network: Network,
    samples: Samples,
    split: str,
    epoch: int,
    precision: str,
    measures: Sequence[SummedMeasure],
    on_images: Callable[[int, int], None] = lambda done, total: None,
    kept: Logits | None = None,
) -> tuple[Metric, ...]:
    """Return measures of the network in eval mode.

    Args:
        network: left in eval mode.
        samples: the data, as the network takes it.
        split: ``train_eval``, ``val`` or ``test``.
        epoch: whose weights these are.
        precision: ``fp32`` or ``bf16``.
        measures: what is measured.
        on_images: called after each batch with the images done and their total; on a GPU, a batch
            may still be in progress.
        kept: takes the logits of each batch, where they are wanted.
    """
    network.eval()
    total = len(samples.splits[METRIC_SPLITS[split]])
    tally = Tally(measures)
    given = samples.evaluation_batches(METRIC_SPLITS[split])
    with torch.inference_mode(), closing(given) as batches:
        for inputs, labels in batches:
            with autocast(inputs.device, precision):
                logits = network.evaluated(inputs)
            tally.add(logits, labels)
            if kept is not None:
                kept.add(logits, total)
            on_images(tally.count, total)
    return tuple(Metric(epoch, split, name, value) for name, value in tally.values().items())


def measured_of_logits(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    split: str,
    epoch: int,
    measures: Sequence[Measure],
) -> tuple[Metric, ...]:
    """Return measures of logits (N, classes) and labels (N,) that are there."""
    values = values_of_logits(logits, labels, measures)
    return tuple(Metric(epoch, split, name, value) for name, value in values.items())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which forward passes of this precision run."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)

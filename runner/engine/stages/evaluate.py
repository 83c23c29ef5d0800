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


class Logits:
    """The logits of a pass, gathered on the host: the device holds those of one batch."""

    def __init__(self) -> None:
        self._rows: NDArray[np.float32] | None = None
        self._count = 0

    def add(self, logits: Tensor, total: int) -> None:
        """Take a batch (B, classes) of a pass over ``total`` images; waits for the device."""
        rows = logits.float().cpu().numpy()
        if self._rows is None:
            self._rows = np.empty((total, rows.shape[1]), np.float32)
        self._rows[self._count : self._count + len(rows)] = rows
        self._count += len(rows)

    def whole(self) -> NDArray[np.float32]:
        """Return all of them, (N, classes), when the pass has ended."""
        assert self._rows is not None, "a pass without images"
        return self._rows[: self._count]


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

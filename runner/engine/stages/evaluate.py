"""Evaluation: the measures of a network on one split, or of logits that were kept.

Yields metrics, nothing else; where they are wanted, the logits go to a list of the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.measures import Measure, SummedMeasure, WholeMeasure
from runner.components.settings import METRIC_SPLITS
from runner.core.records import Metric
from runner.engine.data.samples import Samples
from runner.engine.network.build import Network
from runner.engine.tally import Tally


def evaluate(
    network: Network,
    samples: Samples,
    split: str,
    epoch: int,
    precision: str,
    measures: Sequence[SummedMeasure],
    on_images: Callable[[int, int], None] = lambda done, total: None,
    kept: list[Tensor] | None = None,
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
        kept: filled with the logits of each batch, float32 on the device.
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
                kept.append(logits.float())
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
    tally = Tally([each for each in measures if isinstance(each, SummedMeasure)])
    tally.add(torch.from_numpy(logits), torch.from_numpy(labels))
    values = tally.values()
    for each in measures:
        if isinstance(each, WholeMeasure):
            values[each.name] = each.of(logits, labels)
    return tuple(Metric(epoch, split, name, value) for name, value in values.items())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which forward passes of this precision run."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)

"""Evaluation: the measures of a network on one split. Yields metrics, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext

import torch

from runner.components.measures import Measure, Tally
from runner.components.settings import METRIC_SPLITS
from runner.core.records import Metric
from runner.engine.data.samples import Samples
from runner.engine.network.build import Network


def evaluate(
    network: Network,
    samples: Samples,
    split: str,
    epoch: int,
    precision: str,
    measures: Sequence[Measure],
    on_images: Callable[[int, int], None] = lambda done, total: None,
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
            on_images(tally.count, total)
    return tuple(Metric(epoch, split, name, value) for name, value in tally.values().items())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which forward passes of this precision run."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)

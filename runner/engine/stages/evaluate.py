"""Evaluation: loss and accuracy of a network on one split. Yields metrics, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from runner.components.data.splitting import Split
from runner.core.records import Metric
from runner.engine.data.samples import Samples
from runner.engine.network.build import Network

METRIC_SPLITS: dict[str, Split] = {
    "train_eval": "train",
    "val": "val",
    "test": "test",
}
"""Which images each evaluated metric split stands for."""


def evaluate(
    network: Network,
    samples: Samples,
    split: str,
    epoch: int,
    precision: str,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Metric, ...]:
    """Return loss and accuracy of the network in eval mode, summed in float64.

    The loss is the cross-entropy without label smoothing, mean over the images.

    Args:
        network: left in eval mode.
        samples: the data, as the network takes it.
        split: ``train_eval``, ``val`` or ``test``.
        epoch: which epoch's weights these are.
        precision: ``fp32`` or ``bf16``.
        told: hears after each batch how many images of how many are done; on a GPU, are begun.
    """
    network.eval()
    total = len(samples.splits[METRIC_SPLITS[split]])
    total_loss: torch.Tensor | float = 0.0
    num_correct: torch.Tensor | int = 0
    count = 0
    with torch.inference_mode():
        for inputs, labels in samples.evaluation_batches(METRIC_SPLITS[split]):
            with autocast(inputs.device, precision):
                logits = network(inputs)
            logits = logits.float()
            losses = functional.cross_entropy(logits, labels, reduction="none")
            total_loss = total_loss + losses.double().sum()
            num_correct = num_correct + (logits.argmax(1) == labels).sum()
            count += len(labels)
            told(count, total)
    return (
        Metric(epoch, split, "loss", float(total_loss) / count),
        Metric(epoch, split, "accuracy", int(num_correct) / count),
    )


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which forward passes of this precision run."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")

"""Own metrics, tried on random logits before anything is computed for them."""

from __future__ import annotations

import math

import torch

from runner.components.own.problems import OwnCodeFailed
from runner.components.own_metric import OwnMetric
from runner.core.keys import keyed_seed

MOST_NUMBERS = 4_000_000
"""Logits that a metric is tried on at most."""


def try_metric(metric: OwnMetric, outputs: int) -> None:
    """Try a metric on random logits in which each class occurs, where that can be.

    Args:
        metric: its settings.
        outputs: of the network.

    Raises:
        OwnCodeFailed: when it raises an error, gives no number, or another one for the same logits.
    """
    count = max(8, min(max(64, 2 * outputs), MOST_NUMBERS // outputs))
    generator = torch.Generator().manual_seed(keyed_seed(0, "probe"))
    logits = torch.randn(2, count, outputs, generator=generator)
    labels = torch.arange(count) % outputs
    once, _, again = (metric.measure_logits(logits[index], labels) for index in (0, 1, 0))
    if once != again and not (math.isnan(once) and math.isnan(again)):
        raise OwnCodeFailed(
            f"'{metric.own.name}' gives other numbers for the same logits: it draws, or remembers",
            hint="draw from torch alone, which is seeded before each call",
        )

"""Two dumps of one run compared with each other: byte for byte, or within tolerances.

Owns the tolerances. Knows nothing of how the runs were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

LOSS_TOLERANCE = 1e-4
ACCURACY_TOLERANCE = 0.005
"""What training on frozen features may differ by: the first loss, relatively; accuracies."""


def failure_in(lines: Sequence[str], side: str) -> str:
    """Return why a side has nothing that could be compared, or ""."""
    results = [each["result"] for each in map(json.loads, lines) if "result" in each]
    if not results:
        return f"no result, {side}"
    if results[-1]["status"] == "failed":
        return f"failed, {side}: {results[-1]['message']}"
    return ""


def exact_difference(together: Sequence[str], alone: Sequence[str]) -> tuple[str, float]:
    """Return what differs first, or "", and the largest difference of a number: 0 where equal."""
    for ours, theirs in zip(together, alone, strict=False):
        if ours != theirs:
            return f"{ours[:120]} against {theirs[:120]}", float("nan")
    if len(together) != len(alone):
        return f"{len(together)} lines against {len(alone)}", float("nan")
    return "", 0.0


def near_difference(together: Sequence[str], alone: Sequence[str]) -> tuple[str, float]:
    """Return the same within tolerances, of the first step's loss and every accuracy."""
    ours, theirs = dict(_numbers(together)), dict(_numbers(alone))
    if ours.keys() != theirs.keys():
        return f"{len(ours)} numbers against {len(theirs)}", float("nan")
    largest = 0.0
    for name, value in ours.items():
        is_loss = name == "first loss"
        gap = abs(value - theirs[name]) / (abs(theirs[name]) if is_loss else 1.0)
        largest = max(largest, gap)
        if gap > (LOSS_TOLERANCE if is_loss else ACCURACY_TOLERANCE):
            return f"{name}: {value} against {theirs[name]}", gap
    return "", largest


def _numbers(lines: Sequence[str]) -> Iterator[tuple[str, float]]:
    for line in lines:
        content: dict[str, Any] = json.loads(line)
        if "metric" in content:
            epoch, split, name, value = content["metric"]
            if name == "accuracy":
                yield f"{split}_accuracy of epoch {epoch}", float(value)
        elif "steps" in content and content["steps"][0] == 1:
            yield "first loss", float(content["steps"][2][0])

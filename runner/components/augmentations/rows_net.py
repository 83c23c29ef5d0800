"""Rows of a batch: what is done to some of its images, and parameters that have one for each."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def on_rows(images: Tensor, picked: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return a batch with some of its images changed.

    Args:
        images: uint8 (B, C, H, W); not changed itself.
        picked: (B,) bool on the CPU.
        change: from the picked images and their rows (K,) to K images, of the same size unless
            all are picked.
    """
    rows = picked.nonzero().squeeze(1)
    if len(rows) == 0:
        return images
    if len(rows) == len(images):
        return change(images, rows)
    there = rows.to(images.device)
    return images.index_copy(0, there, change(images[there], rows))


def on_cpu(parameters: Tensor) -> Tensor:
    """Return a copy of parameters on the CPU, where coordinates are worked out for all devices."""
    return parameters.detach().to("cpu", copy=True)

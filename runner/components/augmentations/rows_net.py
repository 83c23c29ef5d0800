"""Rows of a batch: what is done to some of its images on a CPU, where that saves work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

RowChange = Callable[[Tensor, Tensor], Tensor]
"""From some images of a batch and their rows (K,) to K images."""


def on_rows(images: Tensor, picked: Tensor, change: RowChange) -> Tensor:
    """Return a batch with some of its images changed.

    Args:
        images: uint8 (B, C, H, W) on the CPU; not changed itself.
        picked: (B,) bool on the CPU.
        change: the images keep their size unless all are picked.
    """
    rows = picked.nonzero().squeeze(1)
    if len(rows) == 0:
        return images
    if len(rows) == len(images):
        return change(images, rows)
    changed = images.clone()
    put(changed, rows, change(take(images, rows), rows))
    return changed


def in_groups(images: Tensor, groups: Tensor, changes: Sequence[RowChange]) -> Tensor:
    """Return a batch in which each image is changed by the way of its group.

    Args:
        images: uint8 (B, C, H, W) on the CPU; not changed itself.
        groups: (B,) int64 on the CPU, places in ``changes``.
        changes: all give images of one size.
    """
    result: Tensor | None = None
    for number, change in enumerate(changes):
        rows = (groups == number).nonzero().squeeze(1)
        if len(rows) == len(images):
            return change(images, rows)
        if len(rows) == 0:
            continue
        changed = change(take(images, rows), rows)
        if result is None:
            result = empty_like(changed, (changed.shape[-2], changed.shape[-1]), len(images))
        put(result, rows, changed)
    return images if result is None else result


def take(images: Tensor, rows: Tensor) -> Tensor:
    """Return ``images[rows]`` in the images' own memory order, copied row by row."""
    if _is_channels_last(images):
        pixels = images.permute(0, 2, 3, 1)
        taken = pixels.flatten(1).index_select(0, rows)
        return taken.view(len(rows), *pixels.shape[1:]).permute(0, 3, 1, 2)
    return images.index_select(0, rows)


def put(images: Tensor, rows: Tensor, changed: Tensor) -> None:
    """Set ``images[rows]``, in place."""
    if _is_channels_last(images):
        pixels, changed = images.permute(0, 2, 3, 1), changed.permute(0, 2, 3, 1)
        pixels.flatten(1).index_copy_(0, rows, changed.flatten(1))
    else:
        images.index_copy_(0, rows, changed)


def empty_like(images: Tensor, size: tuple[int, int], count: int | None = None) -> Tensor:
    """Return images of a size, as many or ``count``, in the same memory order, without values."""
    order = torch.channels_last if _is_channels_last(images) else torch.contiguous_format
    shape = (len(images) if count is None else count, images.shape[1], *size)
    return torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=order)


def _is_channels_last(images: Tensor) -> bool:
    """Return whether the pixels lie one after the other, each with its channels."""
    return not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)

"""Constants that operations need on a device, made once for each: a copy to a GPU waits for it.

What is returned is shared, and must not be changed in place.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor


@functools.lru_cache(maxsize=64)
def positions(length: int, device: torch.device) -> Tensor:
    """Return the whole numbers below ``length``, (length,) int64."""
    return torch.arange(length, device=device)


@functools.lru_cache(maxsize=64)
def per_channel(levels: tuple[int, ...], device: torch.device) -> Tensor:
    """Return levels (1, C, 1, 1) uint8."""
    return torch.tensor(levels, dtype=torch.uint8, device=device).view(1, -1, 1, 1)

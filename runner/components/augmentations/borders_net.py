"""Where the pixels of an image's border come from."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

SPARED = {"reflect": 1, "symmetric": 0}
"""Outermost pixels that a mirror leaves out."""


@functools.lru_cache(maxsize=64)
def border_index(mode: str, before: int, length: int, after: int, device: torch.device) -> Tensor:
    """Return the pixels (before + length + after,) int64 of a side with its borders.

    Args:
        mode: ``edge``: the nearest pixel; ``reflect``: mirrored at the outermost pixel, which is
            not repeated; ``symmetric``: mirrored with it.
        before: pixels of the border in front, at most ``length`` less what the mirror leaves out.
        length: pixels of the side.
        after: pixels of the border behind, likewise.
        device: of the result, which must not be changed.
    """
    index = torch.arange(-before, length + after, device=device)
    if mode == "edge":
        return index.clamp_(0, length - 1)
    if mode == "reflect":
        return (length - 1) - ((length - 1) - index.abs_()).abs_()
    index = torch.where(index < 0, -1 - index, index)
    return torch.where(index < length, index, 2 * length - 1 - index)

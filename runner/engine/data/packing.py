"""Many small tensors copied to a device as one: a copy each would wait for the GPU each time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

ALIGNMENT = 16
"""Bytes at whose multiples a tensor begins: enough for every dtype."""


def to_device(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return tensors on the CPU as tensors on a device, by one copy that nothing waits for.

    They share one buffer, and must not be changed in place. On a GPU it is copied from pinned
    memory, which torch keeps until the copy is done.
    """
    places: dict[str, int] = {}
    end = 0
    for name, tensor in tensors.items():
        places[name] = end
        end += -(-tensor.numel() * tensor.element_size() // ALIGNMENT) * ALIGNMENT
    if end == 0:
        return {name: torch.empty_like(tensor, device=device) for name, tensor in tensors.items()}
    packed = torch.empty(end, dtype=torch.uint8, pin_memory=device.type == "cuda")
    for name, tensor in tensors.items():
        _at(packed, places[name], tensor).copy_(tensor)
    there = packed.to(device, non_blocking=True)
    return {name: _at(there, places[name], tensor) for name, tensor in tensors.items()}


def _at(packed: Tensor, place: int, like: Tensor) -> Tensor:
    """Return the part of a buffer that holds a tensor, as one of its dtype and shape."""
    part = packed[place : place + like.numel() * like.element_size()]
    return part.view(like.dtype).view(like.shape)

"""Batches cut into chunks that fit the caches of a CPU.

Owns how many images are worked on at a time. That is free to choose since no row of a batch depends
on another row; on a CPU it decides the speed: intermediate values of a whole batch would go to
memory and back at every step. A GPU takes the batch at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

Parameters = ParamSpec("Parameters")
Argument = TypeVar("Argument")

VALUES_PER_THREAD = 1 << 17
"""Input values of a chunk for each thread: half a megabyte as float32."""


def in_chunks(
    operation: Callable[Concatenate[Tensor, Parameters], Tensor],
) -> Callable[Concatenate[Tensor, Parameters], Tensor]:
    """Let an operation on a batch of images do one chunk after the other on a CPU.

    Args:
        operation: takes images (B, C, H, W) first. Every other tensor it takes has a row for each
            image; what is no tensor holds for all.

    Returns:
        The same operation, with the same result.
    """

    @functools.wraps(operation)
    def chunked(images: Tensor, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Tensor:
        length = chunk_length(images)
        if length >= len(images):
            return operation(images, *args, **kwargs)
        results = []
        for start in range(0, len(images), length):
            rows = slice(start, start + length)
            some = [_rows(value, rows) for value in args]
            named = {name: _rows(value, rows) for name, value in kwargs.items()}
            results.append(operation(images[rows], *some, **named))  # type: ignore[arg-type]
        return torch.cat(results)

    return chunked


def chunk_length(images: Tensor) -> int:
    """Return how many of the images are worked on at a time, at least 1."""
    if images.device.type != "cpu" or not images.numel():
        return max(1, len(images))
    return max(1, VALUES_PER_THREAD * torch.get_num_threads() // images[0].numel())


def _rows(value: Argument, rows: slice) -> Argument | Tensor:
    """Return some rows of a tensor, and anything else as it is."""
    return value[rows] if isinstance(value, Tensor) else value

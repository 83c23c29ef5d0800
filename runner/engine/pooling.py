"""Adaptive poolings of plain means and maxima, in place of torch's.

The backward passes of torch's own add up in an order that changes from call to call on a CUDA GPU,
and mps has them only for sides that divide. Owns what takes their place while the mode is entered,
and sets no switch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Size = int | None | Sequence[int | None]


class SteadyPooling(TorchFunctionMode):
    """Replaces adaptive poolings, whichever module or function calls them, while entered."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call what was called, or what takes its place."""
        taken = _INSTEAD.get(func, func) if all(kind is Tensor for kind in types) else func
        return taken(*args, **(kwargs or {}))


def average_pool(images: Tensor, output_size: Size) -> Tensor:
    """Return what ``adaptive_avg_pool2d`` does within rounding: means over rows, then columns."""
    pooled = images
    for dim, wanted in zip((-2, -1), _sides(output_size), strict=True):
        pooled = _pooled(pooled, dim, wanted, lambda part, dim: part.mean(dim))
    return pooled


def max_pool(images: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Return what ``adaptive_max_pool2d`` does; of equal values, the gradient is the first one's.

    Raises:
        RuntimeError: where indices are wanted.
    """
    if return_indices:
        raise RuntimeError("adaptive_max_pool2d with indices does not repeat itself on a GPU")
    pooled = images
    # columns first, so that the first of equal values is the first in the order of the rows
    for dim, wanted in zip((-1, -2), reversed(_sides(output_size)), strict=True):
        pooled = _pooled(pooled, dim, wanted, lambda part, dim: part.max(dim).values)
    return pooled


def _sides(output_size: Size) -> tuple[int | None, int | None]:
    if output_size is None or isinstance(output_size, int):
        return output_size, output_size
    rows, columns = output_size
    return rows, columns


def _pooled(
    images: Tensor, dim: int, wanted: int | None, pool: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Return images pooled along a side, with torch's windows: they may overlap."""
    side = images.shape[dim]
    if wanted is None or wanted == side:
        return images
    bounds = [(at * side // wanted, -(-(at + 1) * side // wanted)) for at in range(wanted)]
    parts = [pool(images.narrow(dim, first, end - first), dim) for first, end in bounds]
    return torch.stack(parts, dim)


_INSTEAD: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.adaptive_avg_pool2d: average_pool,
    functional.adaptive_max_pool2d: max_pool,
}

"""A network's forward pass on the meta device, for the shapes alone.

Owns what keeps torch from importing ``torch._dynamo`` there, which takes longer than all else that
a small run does: torch finds the shapes of linear layers, normalisation and activations in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode


def output_on_meta(
    network: nn.Module, shape: tuple[int, ...], counter: TorchFunctionMode | None = None
) -> Any:
    """Return what a network makes of one sample, on the meta device, where nothing is computed.

    Args:
        network: on the meta device, in evaluation mode.
        shape: of the sample, without the batch.
        counter: hears of each call of a function, with the shapes it gives.

    Returns:
        Its output for a batch of one.

    Raises:
        RuntimeError: when the network does not fit the sample.
    """
    with torch.no_grad(), ShapesAlone(), counter or nullcontext():
        return network(torch.empty((1, *shape), device="meta"))


SAME_SHAPE = frozenset(
    {
        functional.batch_norm,
        functional.gelu,
        functional.leaky_relu,
        functional.relu,
        functional.silu,
        torch.tanh,
    }
)
"""Functions that give the shape they are given; any other is left to torch."""


class ShapesAlone(TorchFunctionMode):
    """Gives the shapes of layers that fit; what does not is left to torch, which says why."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.linear and len(args) > 1 and args[0].shape[-1] == args[1].shape[-1]:
            return args[0].new_empty((*args[0].shape[:-1], args[1].shape[0]))
        if func is functional.batch_norm and not _is_fitting(*args):
            return func(*args, **(kwargs or {}))
        if func in SAME_SHAPE and args:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))


def _is_fitting(*args: Any) -> bool:
    """Return whether batch normalisation has a mean for each channel of what it is given."""
    return len(args) > 1 and args[1] is not None and args[0].shape[1] == args[1].shape[0]

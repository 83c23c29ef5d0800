"""Layers that several models build, and how any model is looked at without memory for it."""

from collections.abc import Callable

import torch
from torch import fx, nn

from runner.components.models.shapes_net import output_on_meta

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}

GLOBAL_POOLS = {"average": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}
"""Pooling over whole images, given an output side of 1."""


def linear_block(
    inputs: int, outputs: int, activation: str, batch_norm: bool, dropout: float
) -> nn.Sequential:
    """Return linear, batch normalisation, activation and dropout, as far as asked for."""
    block = nn.Sequential()
    block.add_module("linear", nn.Linear(inputs, outputs))
    if batch_norm:
        block.add_module("norm", nn.BatchNorm1d(outputs))
    block.add_module("activation", ACTIVATIONS[activation]())
    if dropout > 0:
        block.add_module("dropout", nn.Dropout(dropout))
    return block


def output_size(module: nn.Module, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the shape that ``module`` gives for one image, without computing on real memory.

    Raises:
        RuntimeError: when the image is too small for the module.
        ValueError: when its output is no tensor.
    """
    import copy

    meta = copy.deepcopy(module).to("meta").eval()
    output = output_on_meta(meta, image_shape)
    if not isinstance(output, torch.Tensor):
        raise ValueError(f"its output is no tensor, but a {type(output).__name__}")
    return tuple(output.shape[1:])


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Return what ``build`` builds, on the meta device.

    regnet computes its widths with tensors, which the meta device cannot: it is built in memory.
    """
    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:
        return build().to("meta")


class LeafTracer(fx.Tracer):
    """Traces down to the modules without children, so that each keeps its own training mode."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether ``m`` is one node of the graph."""
        childless = not any(True for _ in m.children())
        return childless or bool(super().is_leaf_module(m, module_qualified_name))

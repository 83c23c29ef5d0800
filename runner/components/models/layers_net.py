"""Layers that several models build, and how any model is looked at without memory for it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from runner.components.models.shapes_net import output_on_meta
from runner.components.own.problems import OwnCodeFailed

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

    regnet computes its widths with tensors, which the meta device cannot: there the weights alone
    are on it. What cannot be built so either is built in memory, as own code is.
    """
    try:
        with torch.device("meta"):
            return build()
    except OwnCodeFailed:
        return build().to("meta")
    except NotImplementedError:
        pass
    try:
        with _WeightsOnMeta():
            return build().to("meta")
    except RuntimeError:
        return build().to("meta")


class _WeightsOnMeta(TorchFunctionMode):
    """Makes what layers fill with their weights on the meta device, and all else in memory."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func is torch.empty and named.get("device") is None:
            named = {**named, "device": "meta"}
        return func(*args, **named)


class LeafTracer(fx.Tracer):
    """Traces down to the modules without children, so that each keeps its own training mode.

    A tracer refers to itself, so only Python's collector of garbage would free it: after the trace
    it no longer holds the network.
    """

    def trace(
        self,
        root: nn.Module | Callable[..., Any],
        concrete_args: dict[str, Any] | None = None,
    ) -> fx.Graph:
        """Return the graph of a network.

        Raises:
            fx.proxy.TraceError: when its operations depend on its input.
        """
        try:
            return super().trace(root, concrete_args)
        finally:
            self.__dict__.clear()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether ``m`` is one node of the graph."""
        childless = not any(True for _ in m.children())
        return childless or bool(super().is_leaf_module(m, module_qualified_name))


def graph_module(network: nn.Module, graph: fx.Graph) -> fx.GraphModule:
    """Return a module that computes a graph with the layers of a network.

    The graph does not refer back to it, so that its weights are freed with the last reference.
    """
    module = fx.GraphModule(network, graph)
    module.graph.owning_module = None
    return module

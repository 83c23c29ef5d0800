"""Whether guided backpropagation means something of a network, by what its operations are.

Owns the list of what may pass a gradient as it is. captum guides modules of the class ``nn.ReLU``
and passes the plain gradient through everything else, without a word: so what is not on the list is
refused. Weights do not matter; the network may be on the meta device.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.padding import _ConstantPadNd, _ReflectionPadNd, _ReplicationPadNd

from runner.components.models.layers_net import LeafTracer
from runner.engine.inspection.layers import (
    FROZEN_BATCH_NORM,
    LAYER_NORM_2D,
    PERMUTE,
    POOLING,
    STOCHASTIC_DEPTH,
    NotSuitable,
    class_of,
)
from runner.engine.inspection.receptive_functions import name_of

PASSING = (
    *(_ConvNd, _NormBase, _DropoutNd, _ConstantPadNd, _ReflectionPadNd, _ReplicationPadNd),
    *(*POOLING, nn.Linear, nn.Bilinear, nn.Identity, nn.Flatten, nn.Unflatten, nn.Upsample),
    *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, nn.ChannelShuffle),
    *(nn.PixelShuffle, nn.PixelUnshuffle, nn.ZeroPad2d),
)
"""Layers of torch that are no activations."""

OF_TORCHVISION = frozenset({LAYER_NORM_2D, STOCHASTIC_DEPTH, PERMUTE, FROZEN_BATCH_NORM})
"""The same of torchvision, of exactly these classes."""

GATES = (nn.Sigmoid, nn.Hardsigmoid)
"""What may weigh maps, as in squeeze and excitation, where nothing else uses its output."""

FUNCTIONS = frozenset(
    {
        *("add", "add_", "iadd", "sub", "isub", "mul", "mul_", "imul", "truediv", "itruediv"),
        *("neg", "matmul", "cat", "stack", "concat", "flatten", "view", "reshape", "permute"),
        *("transpose", "chunk", "split", "unbind", "squeeze", "unsqueeze", "contiguous", "clone"),
        *("expand", "repeat", "roll", "getitem", "getattr", "size", "dim", "mean", "sum", "pad"),
        *("interpolate", "dropout", "dropout2d", "batch_norm", "layer_norm", "group_norm"),
        *("stochastic_depth", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "linear"),
        *("adaptive_max_pool2d", "conv2d", "float", "to", "type_as", "floordiv"),
    }
)
"""Names of functions and methods that are no activations."""

PRODUCTS = frozenset({"mul", "mul_", "imul"})
RULES = "guided backpropagation has rules for ReLU modules and linear operations alone"


def check_guided(network: nn.Module) -> None:
    """Check that all activations of a network are modules of the class ``nn.ReLU``.

    Raises:
        NotSuitable: with the first that is not, or of which that cannot be told.
    """
    try:
        graph = _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError):
        raise NotSuitable(
            "which operations the network has depends on values: that all its activations are"
            " ReLU modules cannot be told"
        ) from None
    layers = dict(network.named_modules())
    order = {node: number for number, node in enumerate(graph.nodes)}
    relus = 0
    for node in graph.nodes:
        if node.op == "call_module":
            layer = layers[str(node.target)]
            if type(layer) is nn.ReLU:
                relus += 1
                _check_in_place(node, layer, order)
            else:
                _check_layer(node, layer)
    for node in graph.nodes:  # after layers, whose names say more
        if node.op in ("call_function", "call_method"):
            name = node.target if node.op == "call_method" else name_of(node.target)
            if name not in FUNCTIONS:
                raise NotSuitable(f"{node.name} is a call of {name}; {RULES}")
    if not relus:
        raise NotSuitable("the network has no ReLU; guided backpropagation would be its gradient")


class _Tracer(LeafTracer):
    """Traces into layers that are neither torch's nor known: they may hold an activation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether ``m`` is one node of the graph."""
        return class_of(m) in OF_TORCHVISION or fx.Tracer.is_leaf_module(
            self, m, module_qualified_name
        )


def _check_layer(node: fx.Node, layer: nn.Module) -> None:
    """Check that a layer is no activation."""
    is_gate = isinstance(layer, GATES) and all(_weighs(node, user) for user in node.users)
    is_passing = isinstance(layer, PASSING) or class_of(layer) in OF_TORCHVISION
    if not is_passing and not is_gate:
        raise NotSuitable(f"{node.target} is a {type(layer).__name__}; {RULES}")


def _weighs(gate: fx.Node, user: fx.Node) -> bool:
    """Return whether the output of a gate is multiplied by something else than its own input."""
    others = set(user.all_input_nodes) - {gate}
    return name_of(user.target) in PRODUCTS and not others & set(gate.all_input_nodes)


def _check_in_place(node: fx.Node, relu: nn.ReLU, order: Mapping[fx.Node, int]) -> None:
    """Check that nothing sees what a ReLU does in place: captum gives it a copy."""
    (source,) = node.all_input_nodes
    if relu.inplace and any(order[user] > order[node] for user in source.users):
        raise NotSuitable(f"{node.target} changes in place what is used again behind it")

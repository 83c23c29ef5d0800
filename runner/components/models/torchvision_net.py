"""torchvision's networks in torch: built by name, cut at a layer, with a new head."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import torchvision
from torch import fx, nn

from runner.components.models.classifier import UnknownLayer
from runner.components.models.layers_net import (
    GLOBAL_POOLS,
    LeafTracer,
    graph_module,
    linear_block,
    on_meta,
    output_size,
)

if TYPE_CHECKING:
    from runner.components.models.torchvision_model import Head, TorchvisionModel


def build_torchvision(
    settings: TorchvisionModel, image_shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Return the network that ``settings`` describe; weights are drawn as torchvision does.

    Raises:
        ValueError: for images that are not RGB.
        UnknownLayer: for a cut that names no layer.
        RuntimeError: when the images are too small for the network.
    """
    if image_shape[0] != 3:
        raise ValueError(f"{settings.name} takes images of three channels (data.color: rgb)")
    network = original(settings.name, num_classes, image_shape)
    if settings.cut is not None:
        network = _with_head(network, settings, image_shape, num_classes)
    output_size(network, image_shape)
    return network


def original(
    name: str, num_classes: int, image_shape: tuple[int, int, int] | None = None
) -> nn.Module:
    """Return torchvision's network of that name, freshly drawn.

    A vision transformer is made for square images of one size: that of the images.
    """
    is_sized = name.startswith("vit_") and image_shape is not None
    size = {"image_size": image_shape[1]} if is_sized and image_shape is not None else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        network: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=num_classes, **size
        )
    return network


def _with_head(
    network: nn.Module, settings: TorchvisionModel, shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Return the network up to its layer ``settings.cut``, followed by the head."""
    cut = str(settings.cut)
    graph = LeafTracer().trace(network)
    inside = [node for node in graph.nodes if cut in _layers_around(node)]
    if not inside:
        called = {name for node in graph.nodes for name in _layers_around(node)}
        layers = [name for name, _ in network.named_modules() if name in called]
        raise UnknownLayer("cut", cut, layers)
    backbone = _ending_at(network, graph, inside[-1])
    if hasattr(backbone, "head"):
        raise ValueError(f"cut: {cut} keeps the whole network; name a layer before its head")
    size = output_size(backbone, shape)
    head = _head(settings.head_after_cut(), size, num_classes)
    backbone.add_module("head", head)
    last = next(node for node in reversed(backbone.graph.nodes) if node.op == "output")
    with backbone.graph.inserting_before(last):
        logits = backbone.graph.call_module("head", (last.args[0],))
    last.args = (logits,)
    backbone.recompile()
    return backbone


def _layers_around(node: fx.Node) -> set[str]:
    """Return the layers whose forward pass contains a node, its own included."""
    around = {str(name) for name, _ in node.meta.get("nn_module_stack", {}).values()}
    return around | {str(node.target)} if node.op == "call_module" else around


def _ending_at(network: nn.Module, graph: fx.Graph, node: fx.Node) -> fx.GraphModule:
    """Return the part of a traced network whose output is that of ``node``."""
    kept = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for each in graph.nodes:
        copies[each] = kept.node_copy(each, lambda other: copies[other])
        if each is node:
            break
    kept.output(copies[node])
    for unused in reversed(kept.nodes):
        if not unused.users and unused.op not in ("placeholder", "output"):
            kept.erase_node(unused)
    return graph_module(network, kept)


def _head(settings: Head, size: tuple[int, ...], num_classes: int) -> nn.Sequential:
    """Return the layers behind a cut of output ``size`` (C, H, W) or (C,)."""
    head = nn.Sequential()
    if settings.pool != "none" and len(size) == 3:
        head.add_module("pool", GLOBAL_POOLS[settings.pool](1))
        size = (size[0], 1, 1)
    head.add_module("flatten", nn.Flatten())
    width = math.prod(size)
    for number, hidden in enumerate(settings.hidden, start=1):
        block = linear_block(
            width, hidden, settings.activation, settings.batch_norm, settings.dropout
        )
        head.add_module(f"hidden{number}", block)
        width = hidden
    head.add_module("output", nn.Linear(width, num_classes))
    return head


def last_layer(name: str) -> frozenset[str]:
    """Return the names of torchvision's tensors whose shapes depend on the number of classes."""
    shapes = []
    for num_classes in (2, 3):
        state = original_on_meta(name, num_classes).state_dict()
        shapes.append({key: tensor.shape for key, tensor in state.items()})
    return frozenset(key for key, shape in shapes[0].items() if shapes[1][key] != shape)


def original_on_meta(name: str, num_classes: int) -> nn.Module:
    """Return torchvision's network without memory for its weights."""
    return on_meta(lambda: original(name, num_classes))

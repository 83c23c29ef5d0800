"""The frozen prefix of a network: where it ends, and the network split there in two.

What comes before the first trained or random layer gives the same output for an image in every
epoch. Owns the search for the last operation whose one output tensor holds all of it. Both parts
share their layers with the whole network: training one trains the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from runner.components.models.layers_net import LeafTracer, graph_module
from runner.components.models.shapes_net import output_on_meta
from runner.engine.network.freezing import Frozen

Shape = tuple[int, ...]


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two parts: its frozen prefix, and the head that is trained.

    Attributes:
        cut: name of the last operation of the prefix.
        prefix: from (B, C, H, W) to the features, (B, …).
        head: from the features to logits.
        tensors: names of the prefix's weights and buffers.
    """

    cut: str
    prefix: nn.Module
    head: nn.Module
    tensors: tuple[str, ...]


def split_at_prefix(network: nn.Module, frozen: Frozen) -> SplitNetwork | None:
    """Return a network of the program's own split behind its frozen prefix, None without one.

    Other packages' may do in their layers what a trace does not show: they are not split.
    """
    if not frozen.parameters or type(network).__module__.startswith("timm."):
        return None
    graph = _traced(network)
    if graph is None:
        return None
    nodes = list(graph.nodes)
    for last, cut in ends_of_prefix(network, nodes, frozen):
        prefix, head = parts_of(network, nodes, last)
        return SplitNetwork(cut, prefix, head, tuple(prefix.state_dict()))
    return None


def ends_of_prefix(
    network: nn.Module, nodes: Sequence[fx.Node], frozen: Frozen
) -> Iterator[tuple[int, str]]:
    """Yield where a frozen prefix with weights may end, the last place first.

    That is after which operation, and the name of the one whose output is used behind it.

    Args:
        network: that was traced.
        nodes: its operations in their order.
        frozen: what of it is.
    """
    fixed = [_is_fixed(network, node, frozen) for node in nodes]
    end = fixed.index(False)
    with_weights = [i for i in range(end) if _has_weights(network, nodes[i])]
    if not with_weights:
        return
    for last in range(end - 1, with_weights[-1] - 1, -1):
        crossing = _crossing(nodes, last)
        if len(crossing) == 1 and crossing[0].op != "placeholder":
            yield last, crossing[0].name


def _traced(network: nn.Module) -> fx.Graph | None:
    """Return the graph of a network, or None when its operations depend on its input."""
    try:
        return LeafTracer().trace(network)
    except (fx.proxy.TraceError, TypeError):
        return None


def _is_fixed(network: nn.Module, node: fx.Node, frozen: Frozen) -> bool:
    """Return whether a node gives the same in every epoch, given the same from the nodes before."""
    if node.op == "output":
        return False
    target = str(node.target)
    if node.op == "get_attr":
        return frozen.holds(target)
    if node.op != "call_module":
        return "dropout" not in str(getattr(node.target, "__name__", target))
    if frozen.holds(target):
        return True
    module = network.get_submodule(target)
    own = [name for name, _ in module.named_parameters(prefix=target)]
    if own:
        return all(frozen.holds(name) for name in own) and not _depends_on_mode(module)
    return not _depends_on_mode(module)


def _depends_on_mode(module: nn.Module) -> bool:
    """Return whether a layer computes otherwise in training: it then must not be fixed."""
    if isinstance(module, _DropoutNd | _NormBase):
        return True
    return not type(module).__module__.startswith("torch.nn.")


def _has_weights(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "get_attr":
        return True
    return node.op == "call_module" and any(
        True for _ in network.get_submodule(str(node.target)).parameters()
    )


def _crossing(nodes: Sequence[fx.Node], last: int) -> list[fx.Node]:
    """Return the nodes up to ``last`` whose output is used behind it."""
    later = set(nodes[last + 1 :])
    return [node for node in nodes[: last + 1] if later.intersection(node.users)]


def parts_of(
    network: nn.Module, nodes: Sequence[fx.Node], last: int
) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Return what comes up to an operation, of which one output is used later, and what follows."""
    (crossing,) = _crossing(nodes, last)
    first, second = fx.Graph(), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in nodes[: last + 1]:
        copies[node] = first.node_copy(node, lambda other: copies[other])
    first.output(copies[crossing])
    copies = {crossing: second.placeholder("features")}
    for node in nodes[last + 1 :]:
        copies[node] = second.node_copy(node, lambda other: copies[other])
    return graph_module(network, first), graph_module(network, second)


def features_shape(split: SplitNetwork, image_shape: Shape) -> Shape:
    """Return the shape of one image's features; a network on the meta device computes nothing."""
    device = next(split.prefix.parameters()).device
    split.prefix.eval()
    if device.type == "meta":
        return tuple(output_on_meta(split.prefix, image_shape).shape[1:])
    with torch.no_grad():
        return tuple(split.prefix(torch.zeros((1, *image_shape), device=device)).shape[1:])

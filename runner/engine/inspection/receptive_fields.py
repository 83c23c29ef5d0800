"""Receptive fields: which pixels of the image a unit of each layer depends on, by arithmetic.

Walks a traced network, branches included: where they meet, a unit sees what any of them sees. What
lies behind an operation without a rule is not known, and said to be so. Nothing is computed:
networks are on the meta device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from runner.components.models.layers_net import LeafTracer
from runner.engine.inspection.receptive_functions import function_window, name_of
from runner.engine.inspection.receptive_layers import layer_window
from runner.engine.inspection.receptive_windows import Axis, ReceptiveWindow, UnknownOperation

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Field:
    """What a unit of a layer sees.

    Attributes:
        size: height and width, in pixels.
        stride: how far apart the fields of neighbouring units are; 0 where all see the same.
    """

    size: tuple[int, int]
    stride: tuple[float, float]


@dataclass(frozen=True)
class Fields:
    """The receptive fields of a network.

    Attributes:
        by_call: of each call of a layer, by its name and which call of it this is, from 0 on.
        unknown: why those that are not there are not known, or "".
    """

    by_call: Mapping[tuple[str, int], Field]
    unknown: str = ""


def receptive_fields(network: nn.Module, shape: Shape) -> Fields:
    """Return the receptive field of each layer of a network.

    Where the windows of an adaptive pooling are of different sizes, the largest counts, at their
    mean distance.

    Args:
        network: on the meta device, in evaluation mode.
        shape: channels, height, width of an image.

    Raises:
        RuntimeError: when the image is too small for the network.
    """
    try:
        graph = LeafTracer().trace(network)
    except (fx.proxy.TraceError, TypeError) as error:
        why = str(error).splitlines()[0]
        return Fields({}, f"of all layers: which operations there are depends on values: {why}")
    module = fx.GraphModule(network, graph)
    walk = _Walk(module, shape)
    with torch.no_grad():
        walk.run(torch.empty((1, *shape), device="meta"))
    return Fields(walk.fields, walk.unknown)


class _Walk(fx.Interpreter):
    """Computes shapes on the meta device, and with them what each tensor's units see."""

    def __init__(self, module: fx.GraphModule, shape: Shape) -> None:
        super().__init__(module)
        self.fields: dict[tuple[str, int], Field] = {}
        self.unknown = ""
        self._shape = shape
        self._seen: dict[fx.Node, ReceptiveWindow] = {}
        self._lost: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if n.op == "placeholder":
            side = Axis(0, 0, 1)
            self._seen[n] = ReceptiveWindow(side, side, (2, 3), self._shape[1:])
        elif n.op not in ("output", "get_attr"):
            self._follow(n, output)
        for call, (name, _) in n.meta.get("nn_module_stack", {}).items():
            # the node of a leaf stands on its own stack; of a layer with layers inside, the last
            # node is what it gives. Further calls are NAME@1, NAME@2 …
            self._keep(str(name), int(call[len(name) :].removeprefix("@") or 0), n)
        return output

    def _follow(self, node: fx.Node, output: Any) -> None:
        """Find what the output of an operation sees, or remember that it is not known."""
        inputs = node.all_input_nodes
        if any(each in self._lost for each in inputs):
            self._lost.add(node)
            return
        seen = [self._seen[each] for each in inputs if each in self._seen]
        if not seen or not _holds_tensors(output):
            return  # constants and sizes see nothing
        try:
            self._seen[node] = self._rule(node, output, seen)
        except UnknownOperation as error:
            self._lost.add(node)
            self.unknown = self.unknown or f"behind {node.name}: {error}"

    def _rule(self, node: fx.Node, output: Any, seen: list[ReceptiveWindow]) -> ReceptiveWindow:
        source = self.env[node.all_input_nodes[0]]
        if node.op == "call_module":
            return layer_window(self.fetch_attr(str(node.target)), source, output, seen)
        arguments = self.fetch_args_kwargs_from_env(node)
        name = node.target if node.op == "call_method" else name_of(node.target)
        return function_window(str(name), arguments, source, output, seen)

    def _keep(self, name: str, number: int, node: fx.Node) -> None:
        """Remember what a call of a layer sees, or that it is not known."""
        self.fields.pop((name, number), None)
        seen = self._seen.get(node)
        if seen is not None:
            sides = seen.rows, seen.columns
            sizes = [side.size(n) for side, n in zip(sides, self._shape[1:], strict=True)]
            strides = seen.rows.step, seen.columns.step
            self.fields[name, number] = Field((sizes[0], sizes[1]), strides)


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, tuple | list) and any(isinstance(each, Tensor) for each in value)
    )

"""Layers of a network by name, and what they give for images.

Owns which layer is meant where none is named. Networks are left in the mode that they were in; on
the meta device, where nothing is computed, all of this works as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import (
    _AdaptiveAvgPoolNd,
    _AdaptiveMaxPoolNd,
    _AvgPoolNd,
    _LPPoolNd,
    _MaxPoolNd,
)

from runner.components.models.classifier import UnknownLayer
from runner.components.models.shapes_net import ShapesAlone

STOCHASTIC_DEPTH = "torchvision.ops.stochastic_depth.StochasticDepth"
PERMUTE = "torchvision.ops.misc.Permute"
FROZEN_BATCH_NORM = "torchvision.ops.misc.FrozenBatchNorm2d"
LAYER_NORM_2D = "torchvision.models.convnext.LayerNorm2d"
"""Torchvision's layers by their names: its import takes seconds, also of processes that train."""

POOLING = (_AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _LPPoolNd, _MaxPoolNd)
MAKE_NO_MAPS = (*POOLING, _DropoutNd, nn.Identity)
"""Layers that only make the maps smaller that another gives, or pass them on."""


class NotSuitable(ValueError):
    """A network of which a method says nothing, or something else than its name promises."""


def class_of(layer: nn.Module) -> str:
    """Return the name of a layer's class, with its module."""
    kind = type(layer)
    return f"{kind.__module__}.{kind.__qualname__}"


def layer_named(network: nn.Module, name: str) -> nn.Module:
    """Return the layer of that name.

    Raises:
        UnknownLayer: when there is none.
    """
    layers: dict[str, nn.Module] = dict(network.named_modules())
    if name not in layers or not name:
        raise UnknownLayer("layer", name, [each for each in layers if each])
    return layers[name]


def layer_output(network: nn.Module, images: Tensor, name: str, of_input: bool = False) -> Any:
    """Return what the last call of a layer gives for images.

    Args:
        network: from images to scores.
        images: normalised (B, C, H, W).
        name: of the layer.
        of_input: return what it takes in instead.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: for one that no image goes through.
    """
    kept: list[Any] = []

    def keep(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        kept[:] = [inputs[0] if of_input else output]

    hook = layer_named(network, name).register_forward_hook(keep)
    try:
        _go_through(network, images)
    finally:
        hook.remove()
    if not kept:
        raise NotSuitable(f"no image goes through {name}")
    return kept[0]


def check_maps(network: nn.Module, images: Tensor, name: str) -> None:
    """Check that a layer gives maps of more than one place.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: when it does not.
    """
    output = layer_output(network, images, name)
    if not isinstance(output, Tensor) or output.ndim != 4:
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else "no tensor"
        raise NotSuitable(f"{name} gives no maps for Grad-CAM, but {shape}")
    if not _has_places(output):
        raise NotSuitable(
            f"{name} gives maps of one place only: Grad-CAM would be the same all over"
        )


@dataclass
class _LastMaps:
    """The maps that were given last, and by which layer.

    Attributes:
        without: the layer, of another kind of output, that was called since then, or "".
    """

    layer: str = ""
    without: str = ""


def last_maps(network: nn.Module, images: Tensor) -> str:
    """Return the name of the layer that gives the last maps before they are pooled or flattened.

    Of a layer and those inside it that give the same maps, the outer one is named: of a residual
    network the last stage, whose maps hold what goes past its convolutions too.

    Args:
        network: from images to scores.
        images: normalised (B, C, H, W).

    Raises:
        NotSuitable: when there is none, or when what follows are no maps, but tokens.
    """
    found, reduced = _LastMaps(), [images]

    def look(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        if output.ndim == 3:
            found.without = found.without or names[layer]
        if output.ndim != 4 or not _has_places(output):
            return
        is_same = isinstance(layer, MAKE_NO_MAPS) or (
            # an activation behind a pooling
            not [*layer.children(), *layer.parameters()] and is_reduced(inputs[0])
        )
        if is_same and not is_reduced(output):
            reduced.append(output)
        if not is_reduced(output):
            found.layer, found.without = names[layer], ""

    def is_reduced(maps: object) -> bool:
        return any(maps is each for each in reduced)

    names = {layer: name for name, layer in network.named_modules() if name}
    hooks = [layer.register_forward_hook(look) for layer in names]
    try:
        _go_through(network, images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not found.layer:
        raise NotSuitable("the network has no layer that gives maps")
    if found.without:
        raise NotSuitable(
            f"the maps of {found.layer} become a sequence before the network classifies"
            f" ({found.without} gives no maps): name the layer"
        )
    return found.layer


def _go_through(network: nn.Module, images: Tensor) -> None:
    shapes = ShapesAlone() if images.is_meta else nullcontext()
    with evaluated(network), torch.no_grad(), shapes:
        network(images)


def _has_places(maps: Tensor) -> bool:
    return maps.shape[2] * maps.shape[3] > 1


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode while entered, with gradients."""
    modes: Sequence[tuple[nn.Module, bool]] = [(each, each.training) for each in network.modules()]
    network.eval()
    try:
        with torch.inference_mode(mode=False), torch.enable_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode

"""Weights as pictures: the filters of the first convolution, and the neurons of a plain network.

Owns which weights belong to pixels. How they are scaled is ``pictures``'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from runner.engine.inspection.layers import NotSuitable, layer_named
from runner.engine.inspection.pictures import centred, stretched

Floats = NDArray[np.float32]
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FilterPictures:
    """The filters of a network's first convolution, before and after training.

    Attributes:
        layer: its name.
        before: one picture a filter (N, H, W, C), values from 0 to 1.
        after: likewise, under the same scale.
    """

    layer: str
    before: Floats
    after: Floats


@dataclass(frozen=True, slots=True)
class NeuronPictures:
    """The weights of neurons that look at pixels, laid out as the image is.

    Attributes:
        layer: its name.
        neurons: their numbers, counted from 0.
        color: one picture a neuron (N, H, W, C), values from 0 to 1; a weight of 0 is 0.5.
        summed: the sum over the channels (N, H, W), likewise under a scale of its own.
    """

    layer: str
    neurons: tuple[int, ...]
    color: Floats
    summed: Floats


def filter_pictures(before: nn.Module, after: nn.Module) -> FilterPictures:
    """Return the filters of the first convolution of two states of one network.

    Args:
        before: with its initial weights.
        after: with trained ones.

    Raises:
        NotSuitable: when there is none, or its filters do not look at one or three channels.
    """
    name = filters_layer(after)
    weights = [_weights(layer_named(network, name)) for network in (before, after)]
    first, second = stretched([each.transpose(0, 2, 3, 1) for each in weights])
    return FilterPictures(name, first, second)


def filters_layer(network: nn.Module) -> str:
    """Return the name of the first convolution; the network may be on the meta device.

    Raises:
        NotSuitable: when there is none, or its filters do not look at one or three channels.
    """
    name = next((name for name, each in network.named_modules() if isinstance(each, nn.Conv2d)), "")
    if not name:
        raise NotSuitable("the network has no convolution")
    channels = _shape(layer_named(network, name))[1]
    if channels not in (1, 3):
        raise NotSuitable(f"the filters of {name} look at {channels} channels, not at a picture")
    return name


def neuron_pictures(
    network: nn.Module, shape: Shape, neurons: Sequence[int], layer: str | None = None
) -> NeuronPictures:
    """Return the weights of neurons as pictures.

    Args:
        network: with its weights.
        shape: channels, height, width of an image.
        neurons: their numbers, counted from 0.
        layer: a linear layer; the first when not given.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: for one that does not look at pixels, or a neuron that it has not.
    """
    name = neurons_layer(network, shape, neurons, layer)
    weights = _weights(layer_named(network, name))
    chosen = weights[list(neurons)].reshape(len(neurons), *shape).transpose(0, 2, 3, 1)
    return NeuronPictures(
        name, tuple(neurons), centred([chosen])[0], centred([chosen.sum(3, dtype=np.float32)])[0]
    )


def neurons_layer(
    network: nn.Module, shape: Shape, neurons: Sequence[int], layer: str | None = None
) -> str:
    """Return the name of the layer that has these neurons; see :func:`neuron_pictures`.

    The network may be on the meta device.
    """
    linear = [name for name, each in network.named_modules() if isinstance(each, nn.Linear)]
    name: str = (linear[0] if linear else "") if layer is None else layer
    if not name:
        raise NotSuitable("the network has no linear layer")
    sizes = _shape(layer_named(network, name))
    if len(sizes) != 2 or sizes[1] != math.prod(shape):
        pixels = "×".join(map(str, shape))
        raise NotSuitable(f"the neurons of {name} do not look at the {pixels} values of an image")
    wrong = [each for each in neurons if not 0 <= each < sizes[0]]
    if wrong or not neurons:
        found = f"there is no neuron {wrong[0]}" if wrong else "no neuron is named"
        raise NotSuitable(f"{found}; {name} has 0 to {sizes[0] - 1}")
    return name


def _shape(layer: nn.Module) -> tuple[int, ...]:
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, nn.Parameter):
        raise NotSuitable(f"a {type(layer).__name__} has no weights")
    return tuple(weight.shape)


def _weights(layer: nn.Module) -> Floats:
    assert isinstance(layer.weight, nn.Parameter)
    return cast("Floats", layer.weight.detach().float().cpu().numpy())

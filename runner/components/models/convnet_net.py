"""The convolutional network in torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from runner.components.models.layers_net import ACTIVATIONS, linear_block, output_size

if TYPE_CHECKING:
    from runner.components.models.convnet import ConvNet

POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def build_convnet(
    settings: ConvNet, image_shape: tuple[int, int, int], num_classes: int
) -> nn.Sequential:
    """Return the network that ``settings`` describe.

    Raises:
        ValueError: when the images are too small for so many blocks.
    """
    features = nn.Sequential()
    channels = image_shape[0]
    for number, filters in enumerate(settings.filters, start=1):
        features.add_module(f"block{number}", _block(settings, channels, filters))
        channels = filters
    try:
        width = math.prod(output_size(features, image_shape))
    except RuntimeError as error:
        side = f"{image_shape[1]}×{image_shape[2]}"
        raise ValueError(
            f"images of {side} pixels are too small for {len(settings.filters)} blocks"
        ) from error
    classifier = nn.Sequential()
    for number, hidden in enumerate(settings.linear, start=1):
        block = linear_block(width, hidden, settings.activation, False, settings.dropout)
        classifier.add_module(f"hidden{number}", block)
        width = hidden
    classifier.add_module("output", nn.Linear(width, num_classes))
    net = nn.Sequential()
    net.add_module("features", features)
    net.add_module("flatten", nn.Flatten())
    net.add_module("classifier", classifier)
    return net


def _block(settings: ConvNet, inputs: int, outputs: int) -> nn.Sequential:
    padding = (settings.kernel - 1) // 2 if settings.padding == "same" else settings.padding
    block = nn.Sequential()
    for part in settings.order:
        if part == "conv":
            conv = nn.Conv2d(inputs, outputs, settings.kernel, settings.stride, padding)
            block.add_module("conv", conv)
        elif part == "norm" and settings.batch_norm:
            block.add_module("norm", nn.BatchNorm2d(outputs))
        elif part == "activation":
            block.add_module("activation", ACTIVATIONS[settings.activation]())
        elif part == "pool" and settings.pool != "none":
            block.add_module("pool", POOLS[settings.pool](settings.pool_size))
        elif part == "dropout" and settings.dropout > 0:
            block.add_module("dropout", nn.Dropout(settings.dropout))
    return block

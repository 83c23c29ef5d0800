"""The convolutional network in torch: `features` (blocks), flattening, `classifier`.

Where two points of dropout coincide, there is one layer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from runner.components.models.layers_net import (
    ACTIVATIONS,
    GLOBAL_POOLS,
    linear_block,
    output_size,
)

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
    features = _features(settings, image_shape[0])
    try:
        channels, *size = output_size(features, image_shape)
    except RuntimeError as error:
        side = f"{image_shape[1]}×{image_shape[2]}"
        raise ValueError(
            f"images of {side} pixels are too small for {len(settings.filters)} blocks"
        ) from error
    net = nn.Sequential()
    net.add_module("features", features)
    width = channels * math.prod(size)
    if settings.global_pool != "none":
        net.add_module("pool", GLOBAL_POOLS[settings.global_pool](1))
        width = channels
    net.add_module("flatten", nn.Flatten())
    # without a pooling in between, dropout at the end of the last block is dropout of the flattened
    dropped = settings.global_pool == "none" and _ends_with_dropout(features[-1])
    net.add_module("classifier", _classifier(settings, width, num_classes, dropped))
    return net


def _features(settings: ConvNet, channels: int) -> nn.Sequential:
    between = settings.dropout > 0 and "between_blocks" in settings.dropout_at
    features = nn.Sequential()
    for number, filters in enumerate(settings.filters, start=1):
        block = _block(settings, number, channels, filters)
        features.add_module(f"block{number}", block)
        if between and number < len(settings.filters) and not _ends_with_dropout(block):
            features.add_module(f"dropout{number}", nn.Dropout(settings.dropout))
        channels = filters
    return features


def _ends_with_dropout(block: nn.Module) -> bool:
    return isinstance(list(block.children())[-1], nn.Dropout)


def _block(settings: ConvNet, number: int, inputs: int, outputs: int) -> nn.Sequential:
    kernel, stride = settings.kernels()[number - 1], settings.strides()[number - 1]
    padding = (kernel - 1) // 2 if settings.padding == "same" else settings.padding
    dropout = settings.dropout if "blocks" in settings.dropout_at else 0
    block = nn.Sequential()
    for part in settings.order:
        if part == "conv":
            block.add_module("conv", nn.Conv2d(inputs, outputs, kernel, stride, padding))
        elif part == "norm" and settings.batch_norm:
            block.add_module("norm", nn.BatchNorm2d(outputs))
        elif part == "activation":
            block.add_module("activation", ACTIVATIONS[settings.activation]())
        elif part == "pool" and settings.pools_in(number):
            block.add_module("pool", POOLS[settings.pool](settings.pool_size))
        elif part == "dropout" and dropout > 0:
            block.add_module("dropout", nn.Dropout(dropout))
    return block


def _classifier(settings: ConvNet, width: int, num_classes: int, dropped: bool) -> nn.Sequential:
    """Return the linear layers.

    Args:
        settings: of the network.
        width: of the flattened features.
        num_classes: outputs.
        dropped: whether dropout comes directly before.
    """
    points = settings.dropout_at if settings.dropout > 0 else ()
    classifier = nn.Sequential()
    if "flatten" in points and not dropped:
        classifier.add_module("dropout", nn.Dropout(settings.dropout))
        dropped = True
    hidden_dropout = settings.dropout if "hidden" in points else 0.0
    for number, hidden in enumerate(settings.linear, start=1):
        block = linear_block(
            width, hidden, settings.activation, settings.linear_batch_norm, hidden_dropout
        )
        classifier.add_module(f"hidden{number}", block)
        width, dropped = hidden, hidden_dropout > 0
    if "output" in points and not dropped:
        classifier.add_module("output_dropout", nn.Dropout(settings.dropout))
    classifier.add_module("output", nn.Linear(width, num_classes))
    return classifier

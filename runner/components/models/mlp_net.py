"""The multilayer perceptron in torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from runner.components.models.layers_net import linear_block

if TYPE_CHECKING:
    from runner.components.models.mlp import MLP


def build_mlp(settings: MLP, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
    """Return the network that ``settings`` describe."""
    net = nn.Sequential()
    net.add_module("flatten", nn.Flatten())
    width = math.prod(image_shape)
    for number, hidden in enumerate(settings.hidden, start=1):
        block = linear_block(
            width, hidden, settings.activation, settings.batch_norm, settings.dropout
        )
        net.add_module(f"hidden{number}", block)
        width = hidden
    net.add_module("output", nn.Linear(width, num_classes))
    return net

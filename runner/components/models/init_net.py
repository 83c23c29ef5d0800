"""Initialisation by name: the weights of convolutional and linear layers, drawn anew.

Draws from torch's global generator, which the caller seeds. Knows no settings but the name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

LAYERS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
}
"""torch's functions; Kaiming's with the fan-in and the gain of ReLU (He et al., 2015)."""


def initialise(network: nn.Module, init: str) -> None:
    """Draw the weights of convolutional and linear layers anew, and set their biases to zero.

    Layers are drawn in the order of ``network.modules()``; all others, batch normalisation among
    them, are left alone, and so is everything with ``default``.
    """
    if init == "default":
        return
    for layer in network.modules():
        if isinstance(layer, LAYERS):
            DRAWS[init](layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

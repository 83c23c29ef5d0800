"""What all models share: classes, freezing, initialisation, the names of activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from runner.components.component import Component

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["relu", "leaky_relu", "gelu", "silu", "tanh"]
Shape = tuple[int, int, int]
"""Channels, height, width of one image."""

MAX_LAYERS = 1000
Width = Annotated[int, Field(ge=1, le=1 << 20)]
"""Features or filters of a layer."""

Side = Annotated[int, Field(ge=1, le=1 << 14)]
"""Pixels."""

LayerPattern = Annotated[str, Field(min_length=1, max_length=200)]

Freeze = (
    Literal["none", "features", "classifier"]
    | Annotated[tuple[LayerPattern, ...], Field(min_length=1, max_length=MAX_LAYERS)]
)
"""A policy by name, or patterns of layer names."""

Init = Literal[
    "default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal"
]
"""How fresh weights are drawn; the names are those of ``torch.nn.init``."""


def output_names(classes: Sequence[str], outputs: int) -> tuple[str, ...]:
    """Return the names of a network's outputs: it may have more of them than the data classes.

    Args:
        classes: of the data.
        outputs: of the network, at least as many (`model.classes`).
    """
    return (*classes, *(f"output {index}" for index in range(len(classes), outputs)))


def num_outputs(model: Classifier, num_classes: int) -> int:
    """Return the width of the last layer."""
    return num_classes if model.classes is None else model.classes


class UnknownLayer(ValueError):
    """A name or pattern that no layer of the network has.

    Attributes:
        setting: of the model, that holds it.
        pattern: what was asked for.
        layers: names of the layers there are.
    """

    def __init__(self, setting: str, pattern: str, layers: Sequence[str]) -> None:
        super().__init__(f"no layer is called {pattern}")
        self.setting = setting
        self.pattern = pattern
        self.layers = tuple(layers)


class Classifier(Component):
    """A network from images to class scores.

    What `freeze` names is not trained and computes as in evaluation: its batch normalisation keeps
    its statistics, its dropout is off. `features` is all but the classifier, which is the last
    part of the network with weights (AlexNet's `classifier`, ResNet's `fc`, the head behind a
    `cut`); `classifier` is that part; a list has names or patterns of layers, as
    `[features.0, "layer[12]"]`.

    `init` draws the weights of convolutional and linear layers: `kaiming_*` (He et al., 2015) by
    the fan-in with the gain of ReLU, `xavier_*` (Glorot and Bengio, 2010), `orthogonal` (Saxe et
    al., 2013); biases are 0. `default` is torch's and torchvision's own. Weights that are loaded
    take the place of those drawn.
    """

    classes: int | None = Field(
        None,
        ge=2,
        le=1 << 20,
        description="outputs of the last layer; as many as the data has when not given",
    )
    freeze: Freeze = Field(
        "none",
        description="`none`, `features`, `classifier`, or a list of layer names and patterns",
        json_schema_extra={"neutral": "none"},
    )
    init: Init = Field(
        "default",
        description="how weights that are not loaded are drawn",
        json_schema_extra={"neutral": "default"},
    )

    def initialise(self, network: nn.Module) -> None:
        """Draw the weights of convolutional and linear layers anew, as ``init`` says.

        Draws from torch's global generator, which the caller seeds.
        """
        from runner.components.models.init_net import initialise

        initialise(network, self.init)

"""What all models share: the number of classes, and the names of activations."""

from typing import Literal

from pydantic import Field

from runner.components.component import Component

Activation = Literal["relu", "leaky_relu", "gelu", "silu", "tanh"]
Shape = tuple[int, int, int]
"""Channels, height, width of one image."""


class Classifier(Component):
    """A network from images to class scores."""

    classes: int | None = Field(
        None, ge=2, description="outputs of the last layer; as many as the data has when not given"
    )

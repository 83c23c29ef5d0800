"""Multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from runner.components.models.classifier import MAX_LAYERS, Activation, Classifier, Shape, Width

if TYPE_CHECKING:
    import torch


class MLP(Classifier):
    """The flattened image through fully connected hidden layers.

    A hidden layer is linear, batch normalisation (if asked for), activation, dropout.
    """

    name: Literal["mlp"]
    hidden: tuple[Width, ...] = Field(
        (128,), max_length=MAX_LAYERS, description="width of each hidden layer"
    )
    activation: Activation = Field("relu", description="after each hidden layer")
    batch_norm: bool = Field(False, description="batch normalisation in each hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability, after each hidden layer")

    def build(self, image_shape: Shape, num_classes: int) -> torch.nn.Module:
        """Return a module from (B, C, H, W) float to logits (B, ``num_classes``)."""
        from runner.components.models.mlp_net import build_mlp

        return build_mlp(self, image_shape, num_classes)

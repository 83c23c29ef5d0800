"""torchvision's networks by name, with pretrained weights, whole or cut at a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from runner.components.component import Component
from runner.components.models.classifier import (
    MAX_LAYERS,
    Activation,
    Shape,
    Width,
)
from runner.components.models.pretrained import Pretrainable, WeightsFile

if TYPE_CHECKING:
    import torch

# fmt: off
TorchvisionName = Literal[
    "alexnet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
    "squeezenet1_0", "squeezenet1_1", "densenet121", "densenet161", "densenet169", "densenet201",
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet0_5", "mnasnet0_75",
    "mnasnet1_0", "mnasnet1_3", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2",
    "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
    "efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l", "regnet_x_400mf",
    "regnet_x_800mf", "regnet_x_1_6gf", "regnet_x_3_2gf", "regnet_x_8gf", "regnet_x_16gf",
    "regnet_x_32gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_1_6gf", "regnet_y_3_2gf",
    "regnet_y_8gf", "regnet_y_16gf", "regnet_y_32gf", "regnet_y_128gf", "convnext_tiny",
    "convnext_small", "convnext_base", "convnext_large", "vit_b_16", "vit_b_32", "vit_l_16",
    "vit_l_32", "vit_h_14", "swin_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s", "swin_v2_b",
    "maxvit_t",
]
# fmt: on
"""All of torchvision 0.29's classifiers but googlenet and inception_v3, whose training needs the
losses of auxiliary outputs."""

NamedWeights = Literal[
    "IMAGENET1K_V1",
    "IMAGENET1K_V2",
    "IMAGENET1K_FEATURES",
    "IMAGENET1K_SWAG_E2E_V1",
    "IMAGENET1K_SWAG_LINEAR_V1",
]

FEATURES_ALONE = "IMAGENET1K_FEATURES"
"""Weights of VGG16's convolutional part, without its classifier."""


class Head(Component):
    """New layers behind a cut: pooling, flattening, hidden linear layers, the last layer.

    A hidden layer is linear, batch normalisation (if asked for), activation, dropout.
    """

    pool: Literal["none", "average", "max"] = Field(
        "none", description="pooling over the whole image before flattening"
    )
    hidden: tuple[Width, ...] = Field(
        (), max_length=MAX_LAYERS, description="width of each hidden linear layer"
    )
    activation: Activation = Field("relu", description="after each hidden layer")
    batch_norm: bool = Field(False, description="batch normalisation in each hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability, after each hidden layer")


class TorchvisionModel(Pretrainable):
    """A network of torchvision by its name there, with as many outputs as the data has classes.

    Pretrained weights are fetched once, with a checksum, into torch's own cache; the last layer is
    freshly drawn where its size differs from theirs.
    With `cut`, layers behind the named one are left out and `head` takes their place.
    """

    name: TorchvisionName
    weights: NamedWeights | WeightsFile | None = Field(
        None,
        description="torchvision's name of pretrained weights, {file: …, sha256: …}, or null",
    )
    cut: str | None = Field(
        None, min_length=1, description="the last layer that is kept, as `features` or `layer4`"
    )
    head: Head | None = Field(
        None, description="what follows the cut; one linear layer when not given"
    )

    @model_validator(mode="after")
    def _head_follows_a_cut(self) -> Self:
        if self.head is not None and self.cut is None:
            raise ValueError("head needs cut: the last layer of the network that is kept")
        return self

    def head_after_cut(self) -> Head:
        """Return the settings of the head: one linear layer when none is given."""
        return self.head or Head()

    def build(self, image_shape: Shape, num_classes: int) -> torch.nn.Module:
        """Return a module from (B, 3, H, W) float to logits (B, ``num_classes``), without weights.

        Raises:
            ValueError: for images that are not RGB, or a cut that names no layer.
            RuntimeError: when the images are too small for the network.
        """
        from runner.components.models.torchvision_net import build_torchvision

        return build_torchvision(self, image_shape, num_classes)

    def may_be_missing(self) -> tuple[str, ...]:
        """Return patterns of layers that the weights may lack."""
        return ("classifier",) if self.weights == FEATURES_ALONE else super().may_be_missing()

    def has_new_head(self) -> bool:
        """Return whether a head stands behind a cut."""
        return self.cut is not None

    def last_layer(self) -> frozenset[str]:
        """Return the names of the tensors whose shapes depend on the number of classes."""
        from runner.components.models.torchvision_net import last_layer

        return last_layer(self.name)

    def left_out(self) -> frozenset[str]:
        """Return the tensors of torchvision's network, as those behind a cut."""
        from runner.components.models.torchvision_net import original_on_meta

        return frozenset(original_on_meta(self.name, 1000).state_dict())

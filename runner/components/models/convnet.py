"""Convolutional networks of equal blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from runner.components.models.classifier import Activation, Classifier, Shape

if TYPE_CHECKING:
    import torch

Part = Literal["conv", "norm", "activation", "pool", "dropout"]
Positive = Annotated[int, Field(ge=1)]


class ConvNet(Classifier):
    """Blocks of convolution, normalisation, pooling and activation, then linear layers.

    ``order`` is the order of a block's parts: the network of report R2.1, whose blocks pool before
    the activation, is ``filters: [128, 512, 512, 512, 512], order: [conv, norm, pool, activation]``
    with ``batch_norm`` true or false.
    """

    name: Literal["convnet"]
    filters: tuple[Positive, ...] = Field(
        (16, 32), min_length=1, description="filters of each block, one block per entry"
    )
    kernel: Positive = Field(3, description="side of the convolutions, in pixels")
    stride: Positive = Field(1, description="stride of the convolutions")
    padding: Literal["same"] | Annotated[int, Field(ge=0)] = Field(
        "same", description="zero padding in pixels; `same` is (kernel - 1) / 2"
    )
    pool: Literal["max", "average", "none"] = Field("max", description="pooling in each block")
    pool_size: Positive = Field(2, description="side and stride of the pooling")
    batch_norm: bool = Field(False, description="batch normalisation in each block")
    activation: Activation = Field("relu", description="in blocks and after linear layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability, in blocks and linear layers")
    order: tuple[Part, ...] = Field(
        ("conv", "norm", "activation", "pool", "dropout"), description="order of a block's parts"
    )
    linear: tuple[Positive, ...] = Field(
        (), description="widths of hidden linear layers before the last one"
    )

    @model_validator(mode="after")
    def _order_holds_what_is_used(self) -> Self:
        if len(set(self.order)) != len(self.order):
            raise ValueError("order names a part twice")
        used = {"conv", "activation"}
        used |= {"norm"} if self.batch_norm else set()
        used |= {"pool"} if self.pool != "none" else set()
        used |= {"dropout"} if self.dropout > 0 else set()
        missing = sorted(used - set(self.order))
        if missing:
            raise ValueError(f"order leaves out {', '.join(missing)}, which the block has")
        if self.padding == "same" and self.kernel % 2 == 0:
            raise ValueError("padding `same` needs an odd kernel; give a number of pixels")
        return self

    def build(self, image_shape: Shape, num_classes: int) -> torch.nn.Module:
        """Return a module from (B, C, H, W) float to logits (B, ``num_classes``).

        Raises:
            ValueError: when the images are too small for so many blocks.
        """
        from runner.components.models.convnet_net import build_convnet

        return build_convnet(self, image_shape, num_classes)

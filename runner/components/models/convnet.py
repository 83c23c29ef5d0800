"""Convolutional networks of blocks: what a block holds, where it pools, where dropout is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from runner.components.models.classifier import (
    MAX_LAYERS,
    Activation,
    Classifier,
    Shape,
    Side,
    Width,
)

if TYPE_CHECKING:
    import torch

Part = Literal["conv", "norm", "activation", "pool", "dropout"]
PerBlock = Side | Annotated[tuple[Side, ...], Field(min_length=1, max_length=MAX_LAYERS)]
Blocks = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MAX_LAYERS)], ...],
    Field(min_length=1, max_length=MAX_LAYERS),
]
DropoutPoint = Literal["blocks", "between_blocks", "flatten", "hidden", "output"]
POINTS: tuple[DropoutPoint, ...] = ("blocks", "between_blocks", "flatten", "hidden", "output")


class ConvNet(Classifier):
    """Blocks of convolution, normalisation, pooling and activation, then linear layers.

    ``order`` is the order of a block's parts: the network of report R2.1, whose blocks pool before
    the activation, is ``filters: [128, 512, 512, 512, 512], order: [conv, norm, pool, activation]``
    with ``batch_norm`` true or false. That of report R3, which pools once, is
    ``filters: [32, 32, 32, 64], pool_blocks: last, linear: [4096, 4096]``.

    ``dropout_at`` says where ``dropout`` is: ``blocks`` (in each block, at its position in
    ``order``), ``between_blocks`` (after each block but the last), ``flatten`` (before the linear
    layers), ``hidden`` (after each hidden linear layer), ``output`` (before the last layer). Where
    two of these meet there is one dropout.
    """

    name: Literal["convnet"]
    filters: tuple[Width, ...] = Field(
        (16, 32),
        min_length=1,
        max_length=MAX_LAYERS,
        description="filters of each block, one block per entry",
    )
    kernel: PerBlock = Field(
        3, description="side of the convolutions, in pixels, or a list with that of each block"
    )
    stride: PerBlock = Field(
        1, description="stride of the convolutions, or a list with that of each block"
    )
    padding: Literal["same"] | Annotated[int, Field(ge=0, le=1 << 14)] = Field(
        "same", description="zero padding in pixels; `same` is (kernel - 1) / 2"
    )
    pool: Literal["max", "average", "none"] = Field("max", description="pooling in blocks")
    pool_size: Side = Field(2, description="side and stride of the pooling")
    pool_blocks: Literal["all", "last"] | Blocks = Field(
        "all",
        description="blocks that pool: `all`, `last`, or their numbers, counted from 1",
        json_schema_extra={"neutral": "all"},
    )
    batch_norm: bool = Field(False, description="batch normalisation in each block")
    activation: Activation = Field("relu", description="in blocks and after linear layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability, at each of `dropout_at`")
    dropout_at: tuple[DropoutPoint, ...] = Field(
        ("blocks", "hidden"),
        min_length=1,
        max_length=len(POINTS),
        description="points of the network with dropout",
        json_schema_extra={"neutral": ["blocks", "hidden"]},
    )
    order: tuple[Part, ...] = Field(
        ("conv", "norm", "activation", "pool", "dropout"),
        max_length=5,
        description="order of a block's parts",
    )
    global_pool: Literal["none", "average", "max"] = Field(
        "none",
        description="pooling over the whole image before flattening",
        json_schema_extra={"neutral": "none"},
    )
    linear: tuple[Width, ...] = Field(
        (), max_length=MAX_LAYERS, description="widths of hidden linear layers before the last one"
    )
    linear_batch_norm: bool = Field(
        False,
        description="batch normalisation in each hidden linear layer",
        json_schema_extra={"neutral": False},
    )

    @field_validator("dropout_at", mode="after")
    @classmethod
    def _points_in_one_order(cls, points: tuple[DropoutPoint, ...]) -> tuple[DropoutPoint, ...]:
        # one choice has one key, whatever the order in which it is written
        if len(set(points)) != len(points):
            raise ValueError("a point is given twice")
        return tuple(point for point in POINTS if point in points)

    @model_validator(mode="after")
    def _lists_fit_the_blocks(self) -> Self:
        blocks = len(self.filters)
        for name, values in (("kernel", self.kernel), ("stride", self.stride)):
            if isinstance(values, tuple) and len(values) != blocks:
                raise ValueError(f"{name} has {len(values)} entries for {blocks} blocks")
        if isinstance(self.pool_blocks, tuple):
            if list(self.pool_blocks) != sorted(set(self.pool_blocks)):
                raise ValueError("pool_blocks must increase")
            if self.pool_blocks[-1] > blocks:
                raise ValueError(
                    f"pool_blocks names block {self.pool_blocks[-1]}, but filters has {blocks}"
                )
        return self

    @model_validator(mode="after")
    def _order_holds_what_is_used(self) -> Self:
        if len(set(self.order)) != len(self.order):
            raise ValueError("order names a part twice")
        used = {"conv", "activation"}
        used |= {"norm"} if self.batch_norm else set()
        used |= {"pool"} if self.pool != "none" else set()
        used |= {"dropout"} if self.dropout > 0 and "blocks" in self.dropout_at else set()
        missing = sorted(used - set(self.order))
        if missing:
            raise ValueError(f"order leaves out {', '.join(missing)}, which the block has")
        if self.padding == "same" and any(kernel % 2 == 0 for kernel in self.kernels()):
            raise ValueError("padding `same` needs an odd kernel; give a number of pixels")
        return self

    @model_validator(mode="after")
    def _nothing_is_without_effect(self) -> Self:
        # cells that differ in a setting without effect would look like a result
        absent = set() if self.linear else {"hidden"}
        absent |= {"between_blocks"} if len(self.filters) == 1 else set()
        if self.dropout > 0 and absent.issuperset(self.dropout_at):
            points = ", ".join(self.dropout_at)
            raise ValueError(f"dropout has no effect: the network has none of {points}")
        if self.linear_batch_norm and not self.linear:
            raise ValueError("linear_batch_norm needs hidden linear layers: set linear")
        if self.pool == "none" and self.pool_blocks != "all":
            raise ValueError("pool_blocks needs pooling: pool is none")
        return self

    def kernels(self) -> tuple[int, ...]:
        """Return the side of each block's convolution."""
        given = self.kernel
        return given if isinstance(given, tuple) else (given,) * len(self.filters)

    def strides(self) -> tuple[int, ...]:
        """Return the stride of each block's convolution."""
        given = self.stride
        return given if isinstance(given, tuple) else (given,) * len(self.filters)

    def pools_in(self, block: int) -> bool:
        """Return whether a block, counted from 1, pools."""
        if self.pool == "none":
            return False
        if isinstance(self.pool_blocks, tuple):
            return block in self.pool_blocks
        return self.pool_blocks == "all" or block == len(self.filters)

    def build(self, image_shape: Shape, num_classes: int) -> torch.nn.Module:
        """Return a module from (B, C, H, W) float to logits (B, ``num_classes``).

        Raises:
            ValueError: when the images are too small for so many blocks.
        """
        from runner.components.models.convnet_net import build_convnet

        return build_convnet(self, image_shape, num_classes)

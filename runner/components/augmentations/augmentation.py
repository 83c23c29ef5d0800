"""The base class of augmentations: settings, what is drawn for each image, and how it is applied.

A step knows neither seeds nor which images are picked: it draws for all images of a batch from a
given generator, and is applied to those that were picked, or to all. Torch is imported inside
functions only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from runner.components.component import NamedComponent

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[int, Field(ge=0, le=255)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Factor = Annotated[float, Field(ge=1e-4, le=1e4)]
"""What sizes are multiplied with, or divided by."""

MAX_SIDE = 1 << 14
"""Pixels of a side of images on their way through a pipeline."""

Pixels = Annotated[int, Field(ge=1, le=MAX_SIDE)]


Number = TypeVar("Number", int, float)


class UnsuitableSize(ValueError):
    """A step cannot be applied to images of this size.

    Attributes:
        setting: the setting of the step that does not suit.
        allowed: values that would.
    """

    def __init__(self, setting: str, found: str, allowed: str) -> None:
        super().__init__(found)
        self.setting = setting
        self.allowed = allowed


class Augmentation(NamedComponent):
    """One step of a pipeline, with torchvision's name and meaning (`torchvision.transforms.v2`).

    Unlike torchvision's, its parameters are drawn for each image of a batch separately.
    """

    by_image: ClassVar[bool] = False
    """Whether what is drawn for an image follows from which image of the data it is, and not from
    its place in a batch."""

    @property
    def purpose(self) -> str:
        """What its draws are for, where they are drawn by image."""
        return self.name

    def chance(self) -> float:
        """Return the probability that the step is applied to an image, in [0, 1]."""
        return 1.0

    def output_size(self, size: Size) -> Size:
        """Return the size of images after the step.

        Raises:
            UnsuitableSize: when the step cannot be applied to images of this size.
        """
        return size

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Draw the parameters of all images of a batch, whether or not they are picked.

        Args:
            generator: of this step and batch; how much is drawn must not depend on what is drawn.
            count: images in the batch, B.
            size: of each image.

        Returns:
            Tensors (B, …) on the CPU, by the names under which ``apply`` gets their rows.
        """
        return {}

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return what ``apply`` gets: what was drawn, and what the CPU works out of it.

        The values of all steps go to a GPU together, in one copy for a batch.

        Args:
            drawn: rows of what was drawn, on the CPU.
            size: of each image.
            device: of the images.

        Returns:
            Tensors on the CPU with as many rows; row i depends on row i of ``drawn`` alone, and
            shapes do not depend on values.
        """
        return drawn

    @abstractmethod
    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the augmented images, uint8 (B, C, H', W'); row i depends on image i alone.

        On a GPU it only starts kernels: it copies nothing to or from the CPU, and no shape depends
        on values.

        Args:
            images: uint8 (B, C, H, W), not changed in place. On a CPU those that are picked, on a
                GPU all of the batch, whose other results are thrown away.
            drawn: the rows of ``parameters`` that belong to them, on their device.
            mean: of `data.normalize`, in [0, 1], one for all channels or one for each.
        """


class RandomlyApplied(Augmentation):
    """A step that each image gets with probability `p`."""

    p: Fraction = Field(0.5, description="probability of an image to be picked")

    def chance(self) -> float:
        """Return the probability that the step is applied to an image."""
        return self.p


def increasing(value: Any) -> Any:
    """Return ranges [min, max, …] as they are.

    Raises:
        ValueError: when a minimum is above its maximum.
    """
    if isinstance(value, tuple):
        for low, high in zip(value[::2], value[1::2], strict=True):
            if low > high:
                raise ValueError(f"a range is [min, max], but {low:g} is above {high:g}")
    return value


def symmetric_range(value: float | tuple[float, ...]) -> tuple[float, ...]:
    """Return the range [-n, n] that a number n stands for; a range is returned as it is."""
    return value if isinstance(value, tuple) else (-value, value)


def as_pair(value: Number | tuple[Number, Number]) -> tuple[Number, Number]:
    """Return the pair (n, n) that a number n stands for; a pair is returned as it is."""
    return value if isinstance(value, tuple) else (value, value)


def size_text(size: Size) -> str:
    """Return a size as messages show it: height × width."""
    return f"{size[0]}×{size[1]}"

"""What every augmentation is: settings, what it draws for each image, and how it is applied.

A step knows neither seeds nor which images it is for: it draws for all images of a batch from the
generator that it is given, and is applied to those that are picked. Torch is imported inside
functions only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from runner.components.component import Component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""

Share = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[int, Field(ge=0, le=255)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Factor = Annotated[float, Field(ge=1e-4, le=1e4)]
"""What sizes are multiplied with, or divided by."""

MAX_SIDE = 1 << 14
"""Pixels of a side of images on their way through a pipeline."""

Pixels = Annotated[int, Field(ge=1, le=MAX_SIDE)]


Number = TypeVar("Number", int, float)


class Unfit(ValueError):
    """A step that cannot be applied to images of a size.

    Attributes:
        setting: of the step, the one to blame.
        allowed: what would be right.
    """

    def __init__(self, setting: str, found: str, allowed: str) -> None:
        super().__init__(found)
        self.setting = setting
        self.allowed = allowed


class Augmentation(Component):
    """One step of a pipeline, with torchvision's name and meaning (`torchvision.transforms.v2`).

    Its parameters are drawn for each image by itself.
    """

    def chance(self) -> float:
        """Return the probability with which an image is picked, in [0, 1]."""
        return 1.0

    def output_size(self, size: Size) -> Size:
        """Return the size of images after the step.

        Raises:
            Unfit: when the step cannot be applied to images of this size.
        """
        return size

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the parameters of ``count`` images of a size, by name, (B, …) on the CPU."""
        return {}

    @abstractmethod
    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the augmented images, uint8 (B, C, H', W').

        Args:
            images: uint8 (B, C, H, W); not changed.
            drawn: what was drawn for each of them.
            mean: of the data's normalisation, in [0, 1], one for all channels or one for each.
        """


class RandomlyApplied(Augmentation):
    """A step that each image gets with probability `p`."""

    p: Share = Field(0.5, description="probability of an image to be picked")

    def chance(self) -> float:
        """Return the probability with which an image is picked."""
        return self.p


def increasing(value: Any) -> Any:
    """Refuse a range [min, max] whose ends are exchanged.

    Raises:
        ValueError: when they are.
    """
    if isinstance(value, tuple):
        for low, high in zip(value[::2], value[1::2], strict=True):
            if low > high:
                raise ValueError(f"a range is [min, max], but {low:g} is above {high:g}")
    return value


def symmetric(value: float | tuple[float, ...]) -> tuple[float, ...]:
    """Return the range of a number, [-number, number]; a range as it is."""
    return value if isinstance(value, tuple) else (-value, value)


def both(value: Number | tuple[Number, Number]) -> tuple[Number, Number]:
    """Return a pair; a number stands for both."""
    return value if isinstance(value, tuple) else (value, value)


def shown(size: Size) -> str:
    """Return a size for people: height × width."""
    return f"{size[0]}×{size[1]}"

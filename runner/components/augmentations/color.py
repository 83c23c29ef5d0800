"""Augmentations that change colours and sharpness, and move no pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from runner.components.augmentations.augmentation import (
    Augmentation,
    Factor,
    Fraction,
    NonNegative,
    RandomlyApplied,
    Size,
    UnsuitableSize,
    as_pair,
    increasing,
    size_text,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Turn = Annotated[float, Field(ge=-0.5, le=0.5)]
FactorRange = Annotated[tuple[NonNegative, NonNegative], AfterValidator(increasing)]
TurnRange = Annotated[tuple[Turn, Turn], AfterValidator(increasing)]
SigmaRange = Annotated[tuple[Factor, Factor], AfterValidator(increasing)]
HalfTurn = Annotated[float, Field(ge=0, le=0.5)]

JITTERED = ("brightness", "contrast", "saturation", "hue")
"""In torchvision's order."""


class ColorJitter(Augmentation):
    """Change brightness, contrast, saturation and hue, in an order drawn for each image.

    A number b stands for the range [max(0, 1 - b), 1 + b] of the factor, of the hue for [-b, b]; 0
    changes nothing. Factors are relative: 1 is the image as it is, 0 of brightness is black. The
    hue turns by this part of a circle.
    """

    name: Literal["ColorJitter"]
    brightness: NonNegative | FactorRange = Field(0.0, description="a number, or [min, max]")
    contrast: NonNegative | FactorRange = Field(0.0, description="a number, or [min, max]")
    saturation: NonNegative | FactorRange = Field(0.0, description="a number, or [min, max]")
    hue: HalfTurn | TurnRange = Field(
        0.0, description="a number of at most 0.5, or [min, max] within [-0.5, 0.5]"
    )

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the range of each factor that changes anything, in torchvision's order."""
        ranges: dict[str, tuple[float, float]] = {}
        for name in JITTERED:
            value = getattr(self, name)
            center = 0.0 if name == "hue" else 1.0
            if isinstance(value, float):
                low = center - value if name == "hue" else max(0.0, center - value)
                value = (low, center + value)
            if value != (center, center):
                ranges[name] = value
        return ranges

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the factors, (B,) each, and the order of the four, (B, 4)."""
        from runner.components.augmentations.draws_net import orders, unit

        ranges, drawn = self.ranges(), {"order": orders(generator, count, len(JITTERED))}
        for name in JITTERED:
            numbers = unit(generator, count)
            if name in ranges:
                low, high = ranges[name]
                drawn[name] = low + (high - low) * numbers
        return drawn

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return the factors and the order, and for a GPU what each pass over the images does."""
        from runner.components.augmentations.jitter_net import order_among, passes

        names = list(self.ranges())
        columns = [JITTERED.index(name) for name in names]
        order = order_among(drawn["order"], columns)
        factors = {name: drawn[name] for name in names}
        return {"order": order, **factors} if device.type == "cpu" else passes(order, factors)

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the images, each with its factors applied in its own order."""
        from runner.components.augmentations.jitter_net import jitter, jitter_in_passes

        names = list(self.ranges())
        if "order" in drawn:
            return jitter(images, drawn["order"], {name: drawn[name] for name in names})
        return jitter_in_passes(images, names, drawn)


class RandomGrayscale(RandomlyApplied):
    """Convert to grayscale; images keep their number of channels."""

    name: Literal["RandomGrayscale"]
    p: Fraction = Field(0.1, description="probability of an image to be picked")

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the gray images, with as many channels as before."""
        from runner.components.augmentations.color_net import rgb_to_grayscale

        return rgb_to_grayscale(images)


class RandomEqualize(RandomlyApplied):
    """Equalise the histogram of each channel."""

    name: Literal["RandomEqualize"]

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the equalised images."""
        from runner.components.augmentations.color_net import equalize

        return equalize(images)


class RandomAdjustSharpness(RandomlyApplied):
    """Blur or sharpen: a factor of 0 blurs, 1 changes nothing, 2 doubles the sharpness."""

    name: Literal["RandomAdjustSharpness"]
    sharpness_factor: NonNegative = Field(description="at least 0; 1 is the image as it is")

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the one factor for every image."""
        import torch

        return {"factors": torch.full((count,), self.sharpness_factor, dtype=torch.float64)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the blurred or sharpened images."""
        from runner.components.augmentations.color_net import adjust_sharpness

        return adjust_sharpness(images, factors=drawn["factors"])


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"a kernel has an odd number of pixels, not {value}")
    return value


OddPixels = Annotated[int, Field(ge=1, le=1 << 10), AfterValidator(_odd)]


class GaussianBlur(Augmentation):
    """Blur with a Gaussian whose standard deviation is drawn; borders are mirrored."""

    name: Literal["GaussianBlur"]
    kernel_size: OddPixels | tuple[OddPixels, OddPixels] = Field(
        description="side of the kernel in pixels, odd, or [width, height]"
    )
    sigma: Factor | SigmaRange = Field(
        (0.1, 2.0), description="standard deviation in pixels: a number, or [min, max]"
    )

    def output_size(self, size: Size) -> Size:
        """Return the size, which stays.

        Raises:
            UnsuitableSize: when the mirrored border would be wider than the image.
        """
        width, height = as_pair(self.kernel_size)
        if height // 2 >= size[0] or width // 2 >= size[1]:
            kernel = f"a kernel of {size_text((height, width))} pixels"
            found = f"{kernel} is too large for images of {size_text(size)}"
            raise UnsuitableSize("kernel_size", found, f"at most {2 * min(size) - 1}")
        return size

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the standard deviations, (B,)."""
        from runner.components.augmentations.draws_net import uniform

        return {"sigmas": uniform(generator, count, *as_pair(self.sigma))}

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return the kernels of rows and columns."""
        from runner.components.augmentations.gaussian_net import gaussian_kernels

        width, height = as_pair(self.kernel_size)
        sigmas = drawn["sigmas"]
        return {
            "across": gaussian_kernels(width, sigmas),
            "down": gaussian_kernels(height, sigmas),
        }

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the blurred images."""
        from runner.components.augmentations.gaussian_net import gaussian_blur

        return gaussian_blur(images, **drawn)

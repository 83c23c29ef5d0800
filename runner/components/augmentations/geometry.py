"""Augmentations that move pixels, and keep the size of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from runner.components.augmentations.augmentation import (
    Augmentation,
    Factor,
    Fraction,
    Level,
    NonNegative,
    RandomlyApplied,
    Size,
    UnsuitableSize,
    increasing,
    size_text,
    symmetric_range,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Interpolation = Literal["nearest", "bilinear"]
Angle = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Degrees."""

AngleRange = Annotated[tuple[Angle, Angle], AfterValidator(increasing)]
ShearRange = AngleRange | Annotated[tuple[Angle, Angle, Angle, Angle], AfterValidator(increasing)]
ScaleRange = Annotated[tuple[Factor, Factor], AfterValidator(increasing)]


class RandomHorizontalFlip(RandomlyApplied):
    """Mirror left and right."""

    name: Literal["RandomHorizontalFlip"]

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the mirrored images."""
        from runner.components.augmentations.geometry_net import horizontal_flip

        return horizontal_flip(images)


class RandomVerticalFlip(RandomlyApplied):
    """Mirror top and bottom."""

    name: Literal["RandomVerticalFlip"]

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the images upside down."""
        from runner.components.augmentations.geometry_net import vertical_flip

        return vertical_flip(images)


class RandomPerspective(RandomlyApplied):
    """Distort the perspective: each corner moves inwards by a distance that is drawn for it."""

    name: Literal["RandomPerspective"]
    distortion_scale: Fraction = Field(
        0.5, description="part of half a side by which a corner moves at most"
    )
    interpolation: Interpolation = Field("bilinear", description="how pixels are read in between")
    fill: Level = Field(0, description="value of pixels outside the image")

    def output_size(self, size: Size) -> Size:
        """Return the size, which stays.

        Raises:
            UnsuitableSize: for images without four corners.
        """
        if min(size) < 2:
            found = f"images of {size_text(size)} have no four corners"
            raise UnsuitableSize("name", found, "images of at least 2×2")
        return size

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return where the corners go, x and y, (B, 4, 2), clockwise from the top left."""
        import torch

        from runner.components.augmentations.draws_net import unit, up_to

        height, width = size
        # at a scale of 1, opposite corners would meet in the middle and leave no image
        reach = [
            min(int(self.distortion_scale * (side // 2)), (side - 2) // 2)
            for side in (width, height)
        ]
        most = torch.tensor(reach)
        moved = up_to(unit(generator, count, 4, 2), most)
        corners = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
        inwards = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        return {"endpoints": corners + inwards * moved}

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return the maps from output to input pixels."""
        from runner.components.augmentations.geometry_net import perspective_maps

        height, width = size
        corners = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        ends = drawn["endpoints"]
        return {"maps": perspective_maps(ends.new_tensor(corners).expand_as(ends), ends, size)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the distorted images."""
        from runner.components.augmentations.geometry_net import perspective

        return perspective(images, drawn["maps"], self.interpolation, self.fill)


class RandomRotation(Augmentation):
    """Rotate around the centre, counter-clockwise."""

    name: Literal["RandomRotation"]
    degrees: NonNegative | AngleRange = Field(
        description="[min, max] of the angle; a number d stands for [-d, d]"
    )
    interpolation: Interpolation = Field("nearest", description="how pixels are read in between")
    fill: Level = Field(0, description="value of pixels outside the image")

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the angles in degrees, (B,)."""
        from runner.components.augmentations.draws_net import uniform

        return {"angles": uniform(generator, count, *symmetric_range(self.degrees))}

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return the maps from output to input pixels."""
        from runner.components.augmentations.geometry_net import rotation_maps

        return {"maps": rotation_maps(drawn["angles"], size)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the rotated images; their size stays."""
        from runner.components.augmentations.geometry_net import affine

        return affine(images, drawn["maps"], self.interpolation, self.fill)


class RandomAffine(Augmentation):
    """Rotate, translate, scale and shear around the centre."""

    name: Literal["RandomAffine"]
    degrees: NonNegative | AngleRange = Field(
        description="[min, max] of the angle; a number d stands for [-d, d], 0 turns nothing"
    )
    translate: tuple[Fraction, Fraction] | None = Field(
        None, description="the most that an image is shifted, as a part of its width and its height"
    )
    scale: ScaleRange | None = Field(None, description="[min, max] of the factor")
    shear: NonNegative | ShearRange | None = Field(
        None,
        description="degrees along x: a number s for [-s, s], or [min, max]; or also along y: "
        "[min x, max x, min y, max y]",
    )
    interpolation: Interpolation = Field("nearest", description="how pixels are read in between")
    fill: Level = Field(0, description="value of pixels outside the image")

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return angles, scales (B,), translations in pixels (B, 2), shears in degrees (B, 2)."""
        import torch

        from runner.components.augmentations.draws_net import unit

        numbers = unit(generator, count, 6)
        height, width = size
        across, down = self.translate or (0.0, 0.0)
        shear = () if self.shear is None else symmetric_range(self.shear)
        ranges = [
            symmetric_range(self.degrees),
            (-across * width, across * width),
            (-down * height, down * height),
            self.scale or (1.0, 1.0),
            shear[:2] or (0.0, 0.0),
            shear[2:] or (0.0, 0.0),
        ]
        low, high = torch.tensor(ranges, dtype=torch.float64).unbind(1)
        drawn = low + (high - low) * numbers
        return {
            "angles": drawn[:, 0],
            "translations": drawn[:, 1:3].round(),
            "scales": drawn[:, 3],
            "shears": drawn[:, 4:6],
        }

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return the maps from output to input pixels."""
        from runner.components.augmentations.geometry_net import affine_maps

        return {"maps": affine_maps(**drawn, size=size)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the transformed images."""
        from runner.components.augmentations.geometry_net import affine

        return affine(images, drawn["maps"], self.interpolation, self.fill)

"""Augmentations that cut, pad, resize and erase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from runner.components.augmentations.augmentation import (
    Augmentation,
    Factor,
    Fraction,
    Level,
    Pixels,
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

Border = Annotated[int, Field(ge=0, le=1 << 12)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
AreaRange = Annotated[tuple[PositiveFraction, PositiveFraction], AfterValidator(increasing)]
RatioRange = Annotated[tuple[Factor, Factor], AfterValidator(increasing)]
SideOrSides = Pixels | tuple[Pixels, Pixels]


class RandomCrop(Augmentation):
    """Crop to a size at a position that is drawn, after padding."""

    name: Literal["RandomCrop"]
    size: SideOrSides = Field(description="side in pixels, or [height, width]")
    padding: Border | tuple[Border, Border] | tuple[Border, Border, Border, Border] | None = Field(
        None,
        description="pixels added on each side; or [left and right, top and bottom]; or "
        "[left, top, right, bottom]",
    )
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = Field(
        "constant",
        description="`edge` repeats the outermost pixels, `reflect` and `symmetric` mirror the "
        "image (without and with its outermost pixels)",
    )
    fill: Level = Field(0, description="value of constant padding")

    def borders(self) -> tuple[int, int, int, int]:
        """Return the padding on the left, top, right and bottom."""
        if self.padding is None:
            return (0, 0, 0, 0)
        if isinstance(self.padding, tuple) and len(self.padding) == 4:
            return self.padding
        across, down = as_pair(self.padding)
        return (across, down, across, down)

    def padded(self, size: Size) -> Size:
        """Return the size after padding."""
        left, top, right, bottom = self.borders()
        return (size[0] + top + bottom, size[1] + left + right)

    def output_size(self, size: Size) -> Size:
        """Return the size of the crop.

        Raises:
            UnsuitableSize: for a crop larger than the padded image, or a border wider than what
                it mirrors.
        """
        left, top, right, bottom = self.borders()
        # a mirror without the outermost pixels is one pixel narrower
        spared = {"reflect": 1, "symmetric": 0}.get(self.padding_mode)
        if spared is not None and (
            max(top, bottom) > size[0] - spared or max(left, right) > size[1] - spared
        ):
            found = f"images of {size_text(size)} are too small to mirror them by this padding"
            raise UnsuitableSize("padding", found, f"at most {min(size) - spared}")
        wanted, there = as_pair(self.size), self.padded(size)
        if wanted[0] > there[0] or wanted[1] > there[1]:
            after = "" if self.padding is None else " after padding"
            images = f"images of {size_text(there)}{after}"
            found = f"a part of {size_text(wanted)} is larger than {images}"
            raise UnsuitableSize("size", found, f"at most {size_text(there)}, or more padding")
        return wanted

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the first row and column of each crop in the padded image, (B,) each."""
        from runner.components.augmentations.draws_net import unit, up_to

        there, wanted = self.padded(size), as_pair(self.size)
        numbers = unit(generator, count, 2)
        return {
            "tops": up_to(numbers[:, 0], there[0] - wanted[0]),
            "lefts": up_to(numbers[:, 1], there[1] - wanted[1]),
        }

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the crops."""
        from runner.components.augmentations.cropping_net import crop, pad

        if any(self.borders()):
            images = pad(images, self.borders(), self.padding_mode, self.fill)
        return crop(images, **drawn, size=as_pair(self.size))


class Resize(Augmentation):
    """Resize all images alike; bilinear, antialiased."""

    name: Literal["Resize"]
    size: SideOrSides = Field(description="shorter side in pixels, or [height, width]")

    def output_size(self, size: Size) -> Size:
        """Return the size afterwards; the longer side is rounded down, as torchvision does."""
        if isinstance(self.size, tuple):
            return self.size
        height, width = size
        if height <= width:
            return (self.size, int(self.size * width / height))
        return (int(self.size * height / width), self.size)

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the resized images."""
        from runner.components.augmentations.cropping_net import resize

        height, width = images.shape[-2:]
        return resize(images, self.output_size((height, width)))


class RandomResizedCrop(Augmentation):
    """Crop an area of random size, ratio and position, and resize it to one size."""

    name: Literal["RandomResizedCrop"]
    size: SideOrSides = Field(description="side in pixels, or [height, width]")
    scale: AreaRange = Field(
        (0.08, 1.0), description="[min, max] of the part's area, as a part of the image's"
    )
    ratio: RatioRange = Field((3 / 4, 4 / 3), description="[min, max] of width by height")

    def output_size(self, size: Size) -> Size:
        """Return the size of the resized crop."""
        return as_pair(self.size)

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the crops: tops, lefts, heights and widths, (B,) each.

        Where ten attempts give no part inside the image, it is the largest in the middle whose
        ratio is allowed.
        """
        import torch

        from runner.components.augmentations.draws_net import first_that_fits, rectangles, up_to

        height, width = size
        widths, heights, down, across = rectangles(generator, count, size, self.scale, self.ratio)
        fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        found, widths, heights = first_that_fits(fits, widths, heights)
        whole = self._in_the_middle(size)
        heights = torch.where(found, heights, whole[0])
        widths = torch.where(found, widths, whole[1])
        tops = torch.where(found, up_to(down, height - heights), (height - whole[0]) // 2)
        lefts = torch.where(found, up_to(across, width - widths), (width - whole[1]) // 2)
        return {"tops": tops, "lefts": lefts, "heights": heights, "widths": widths}

    def _in_the_middle(self, size: Size) -> Size:
        height, width = size
        if width / height < self.ratio[0]:
            return (round(width / self.ratio[0]), width)
        if width / height > self.ratio[1]:
            return (height, round(height * self.ratio[1]))
        return size

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return the crops, and for a GPU how their sides are resized."""
        from runner.components.augmentations.resampling_net import resampling_weights

        if device.type == "cpu":
            return drawn
        height, width = as_pair(self.size)
        down = resampling_weights(drawn["tops"], drawn["heights"], size[0], height)
        across = resampling_weights(drawn["lefts"], drawn["widths"], size[1], width)
        sides = {"down": down, "across": across}
        return {f"{name} {key}": each for name in sides for key, each in vars(sides[name]).items()}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the resized crops."""
        from runner.components.augmentations.cropping_net import resized_crop
        from runner.components.augmentations.resampling_net import Weights, resample

        if "tops" in drawn:
            return resized_crop(images, **drawn, size=as_pair(self.size))
        names = ("first", "weights", "units")
        down, across = (
            Weights(*(drawn[f"{side} {name}"] for name in names)) for side in ("down", "across")
        )
        return resample(images, down, across)


class RandomErasing(RandomlyApplied):
    """Erase a rectangle (Zhong et al., 2020); with a fixed area and ratio 1, Cutout.

    Where ten attempts give no rectangle inside the image, the image stays as it is.
    """

    name: Literal["RandomErasing"]
    scale: Annotated[tuple[Fraction, Fraction], AfterValidator(increasing)] = Field(
        (0.02, 0.33), description="[min, max] of the rectangle's area, as a part of the image's"
    )
    ratio: RatioRange = Field((0.3, 3.3), description="[min, max] of height by width")
    value: Fraction | Literal["mean"] = Field(
        0.0,
        description="what is left: 0 black to 1 white, or the `mean` of `data.normalize`, which is"
        " 0 for the network",
    )

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return the rectangles: tops, lefts, heights and widths, (B,) each; empty for none."""
        import torch

        from runner.components.augmentations.draws_net import first_that_fits, rectangles, up_to

        height, width = size
        heights, widths, down, across = rectangles(generator, count, size, self.scale, self.ratio)
        fits = (heights < height) & (widths < width)
        found, heights, widths = first_that_fits(fits, heights, widths)
        heights = torch.where(found, heights, 0)
        widths = torch.where(found, widths, 0)
        return {
            "tops": up_to(down, height - heights),
            "lefts": up_to(across, width - widths),
            "heights": heights,
            "widths": widths,
        }

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the images with their rectangles erased."""
        from runner.components.augmentations.cropping_net import erase

        shares = mean if self.value == "mean" else (self.value,)
        levels = tuple(min(255, max(0, round(255 * share))) for share in shares)
        return erase(images, **drawn, levels=levels)

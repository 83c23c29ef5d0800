"""Digital corruptions: contrast, saturation, elastic deformation, pixels and JPEG."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from runner.components.augmentations.augmentation import Size
from runner.components.augmentations.draws_net import unit
from runner.components.corruptions.pixels_net import (
    at_places,
    cut_levels,
    gaussian_blur,
    parts,
    rounded,
)


def draw_elastic(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return numbers in [0, 1): for three corners, and two for each pixel."""
    return {
        "corners": unit(generator, count, 3, 2),
        "moves": unit(generator, count, 2, *size),
    }


def contrast(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Bring values nearer to the mean of their channel."""
    values = parts(images)
    means = values.mean((2, 3), keepdim=True)
    return cut_levels((values - means) * constants[0] + means)


def saturate(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Change the saturation (HSV): hue and value stay. Gray pixels have the hue of red.

    Images of one channel have no saturation, and stay.
    """
    if images.shape[1] == 1:
        return images
    values = parts(images)
    value, low = values.amax(1, keepdim=True), values.amin(1, keepdim=True)
    is_gray, is_black = value == low, value == 0
    saturation = torch.where(is_black, 0.0, (value - low) / torch.where(is_black, 1.0, value))
    wanted = (saturation * constants[0] + constants[1]).clamp(0, 1)
    red = torch.tensor([0.0, 1.0, 1.0], dtype=values.dtype, device=values.device).view(1, 3, 1, 1)
    # how far a channel is below the highest, as a share of what saturation 1 takes away
    below = (value - values) / torch.where(is_gray, 1.0, value - low)
    below = torch.where(is_gray, red, below)
    return cut_levels(value * (1 - wanted * below))


def elastic_places(drawn: Mapping[str, Tensor], constants: Sequence[float]) -> dict[str, Tensor]:
    """Return where the pixels of each image come from, in two steps, (B, 2, H, W) each.

    First three points move, and the image with them; then each pixel by a smooth field of its own.
    """
    moves = drawn["moves"]
    side = moves.shape[-1]
    strength, smoothness, reach = (side * each for each in constants)
    centre, arm = side // 2, side // 3
    corners = [
        [centre + arm, centre + arm],
        [centre + arm, centre - arm],
        [centre - arm, centre - arm],
    ]
    before = torch.tensor(corners, dtype=torch.float64)
    after = before + reach * (2 * drawn["corners"] - 1)
    # the map from where a pixel goes to where it comes from
    ones = torch.ones(len(after), 3, 1, dtype=torch.float64)
    back = torch.linalg.solve(torch.cat([after, ones], dim=2), before.expand(len(after), 3, 2))
    down, across = torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * 2, indexing="ij")
    here = torch.stack([across, down, torch.ones_like(down)], dim=-1)
    affine = (here.view(1, -1, 3) @ back).view(len(after), side, side, 2).permute(0, 3, 1, 2)
    shifts = strength * gaussian_blur(2 * moves - 1, smoothness, "reflect", 3.0)
    return {"affine": affine, "elastic": torch.stack([across, down]) + shifts}


def elastic_transform(
    images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]
) -> Tensor:
    """Move the pixels; in between, values are bilinear."""
    values = parts(images)
    for name, border in (("affine", "mirror"), ("elastic", "reflect")):
        across, down = drawn[name].unbind(1)
        values = at_places(values, down, across, border)
    return cut_levels(values)


def pixelate(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Make the image smaller and as large again, by means over boxes, as Pillow does."""
    side = images.shape[-1]
    smaller = int(side * constants[0])
    levels = images.double()
    for before, after in ((side, smaller), (smaller, side)):
        matrix = _boxes(before, after, images.device)
        levels = rounded(matrix @ rounded(levels @ matrix.T))
    return levels.to(torch.uint8)


@functools.lru_cache(maxsize=32)
def _boxes(before: int, after: int, device: torch.device) -> Tensor:
    """Return (after, before): of which pixels each is the mean, those whose centre is in its box.

    Where it is smaller than a pixel, the one in which its middle lies.
    """
    scale = before / after
    reach = max(scale, 1.0) / 2
    matrix = torch.zeros(after, before, dtype=torch.float64)
    for row in range(after):
        middle = (row + 0.5) * scale
        inside = [
            column
            for column in range(before)
            if -reach < column + 0.5 - middle <= reach and 0 <= column < before
        ]
        matrix[row, inside] = 1 / len(inside)
    return matrix.to(device)


def jpeg_compression(
    images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]
) -> Tensor:
    """Write and read each image as JPEG, by Pillow."""
    pixels = images.permute(0, 2, 3, 1).cpu().numpy()
    found = np.stack([_through_jpeg(each, int(constants[0])) for each in pixels])
    return torch.from_numpy(found).permute(0, 3, 1, 2).contiguous().to(images.device)


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    image = Image.fromarray(
        pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)
    )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    read = np.asarray(Image.open(file))
    return read.reshape(pixels.shape)

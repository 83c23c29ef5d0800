"""Blurs: of a lens, of glass, of motion, of a zoom, and by a Gaussian."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from runner.components.augmentations.augmentation import Size
from runner.components.augmentations.draws_net import unit
from runner.components.corruptions.pixels_net import (
    correlate,
    cut_levels,
    gaussian_blur,
    gaussian_weights,
    parts,
    streak_offsets,
    streaked,
    zoomed,
)

MOST_PASSES = 2
"""Of glass."""

MOTION_ANGLE = 45.0
"""Degrees to either side."""

DISK = 8
"""Pixels from the middle of the square in which a disk is drawn."""


def draw_neighbours(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return for each pass whether a pixel is taken from the row above and the column before."""
    numbers = unit(generator, count, MOST_PASSES, 2, *size)
    return {"before": (numbers < 0.5).to(torch.uint8)}


def draw_angle(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return a number in [0, 1) for the angle."""
    return {"angle": unit(generator, count)}


def streaks(drawn: Mapping[str, Tensor], constants: Sequence[float]) -> dict[str, Tensor]:
    """Return where the pixels of each image's streaks lie."""
    angles = MOTION_ANGLE * (2 * drawn["angle"] - 1)
    return {"offsets": streak_offsets(angles, constants[0])}


def blurred(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Blur by a Gaussian; the outermost pixels go on outside."""
    return cut_levels(gaussian_blur(parts(images), constants[0]))


def defocus_blur(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Blur by a disk, whose own edge is blurred."""
    return cut_levels(correlate(parts(images), _disk(constants[0], constants[1])))


@functools.lru_cache(maxsize=8)
def _disk(radius: float, sigma: float) -> Tensor:
    """Return the kernel of a disk on the CPU, blurred by 3×3 pixels of a Gaussian."""
    steps = torch.arange(-DISK, DISK + 1, dtype=torch.float64)
    inside = (steps[:, None] ** 2 + steps**2 <= radius**2).double()
    weights = gaussian_weights(sigma, 1)
    kernel = correlate(inside / inside.sum(), weights[:, None] * weights)
    reach = int(kernel.nonzero().sub(DISK).abs().max())
    return kernel[DISK - reach : DISK + reach + 1, DISK - reach : DISK + reach + 1]


def glass_blur(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Blur, take each pixel from a neighbour above or to the left or itself, and blur again.

    The paper says that pixels are exchanged. The published program copies the neighbour's instead,
    and so do the official files; pixels of the first two rows and columns stay.
    """
    levels = cut_levels(gaussian_blur(parts(images), constants[0]))
    height, width = levels.shape[-2:]
    rows, columns = (torch.arange(side, device=levels.device) for side in (height, width))
    moves = (rows >= 2)[:, None] & (columns >= 2)
    for number in range(int(constants[1])):
        shift = drawn["before"][:, number].long() * moves
        index = (rows[:, None] - shift[:, 0]) * width + (columns - shift[:, 1])
        index = index.flatten(1)[:, None].expand(-1, levels.shape[1], -1)
        levels = levels.flatten(2).gather(2, index).view(levels.shape)
    return cut_levels(gaussian_blur(parts(levels), constants[0]))


def motion_blur(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Draw pixels out into streaks, as ImageMagick does."""
    return streaked(images.double(), drawn["offsets"], constants[1]).to(torch.uint8)


def zoom_blur(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Average the image and what zooms into its middle make of it."""
    values, factors = parts(images), np.arange(1, constants[0], 0.01).tolist()
    total = values.clone()
    for factor in factors:
        total += zoomed(values, factor)
    return cut_levels(total / (len(factors) + 1))

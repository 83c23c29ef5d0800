"""Draws for whole batches: a row per image, whatever becomes of the image.

Every function takes all that it draws from the generator in one go, so that how much is drawn never
depends on what is drawn; float64 on the CPU.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor


def unit(generator: Generator, *shape: int) -> Tensor:
    """Return numbers in [0, 1), float64."""
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def uniform(generator: Generator, count: int, low: float, high: float) -> Tensor:
    """Return (B,) numbers in [low, high), float64."""
    return low + (high - low) * unit(generator, count)


def up_to(numbers: Tensor, most: Tensor | int) -> Tensor:
    """Return whole numbers in [0, most], equally likely, int64, from ``numbers`` in [0, 1)."""
    # the product may round up to the bound
    whole = torch.floor(numbers * (most + 1)).to(torch.int64)
    return torch.minimum(whole, torch.as_tensor(most))


def orders(generator: Generator, count: int, length: int) -> Tensor:
    """Return (B, length) permutations of range(length), int64."""
    return unit(generator, count, length).argsort(dim=1)


def rectangles(
    generator: Generator,
    count: int,
    size: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    attempts: int = 10,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what the rectangles of random erasing and resized crops are chosen from.

    An attempt draws an area, uniformly between ``scale`` times that of the image, and a ratio,
    log-uniformly; torchvision takes the first attempt that fits.

    Returns:
        The roots of area times ratio and of area by ratio, rounded, (B, attempts) int64; and two
        numbers in [0, 1) for the place, (B,).
    """
    drawn = unit(generator, count, 2 * attempts + 2)
    areas = size[0] * size[1] * (scale[0] + (scale[1] - scale[0]) * drawn[:, :attempts])
    logs = math.log(ratio[0]), math.log(ratio[1])
    ratios = torch.exp(logs[0] + (logs[1] - logs[0]) * drawn[:, attempts : 2 * attempts])
    # torch and Python both round halves to even
    longer = torch.round(torch.sqrt(areas * ratios)).to(torch.int64)
    shorter = torch.round(torch.sqrt(areas / ratios)).to(torch.int64)
    return longer, shorter, drawn[:, -2], drawn[:, -1]


def first_that_fits(fits: Tensor, *sides: Tensor) -> tuple[Tensor, ...]:
    """Return whether an attempt fits, (B,) bool, and the sides of the first that does, (B,).

    Args:
        fits: (B, attempts) bool.
        sides: (B, attempts) each.
    """
    first = fits.to(torch.int8).argmax(dim=1, keepdim=True)
    return fits.any(dim=1), *(each.gather(1, first).squeeze(1) for each in sides)

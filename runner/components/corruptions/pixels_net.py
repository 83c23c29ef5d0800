"""What several corruptions need: levels, borders, blurs by matrices, streaks and fractals.

All in float64, so that devices agree in the level but for rounding of what lies on the edge of two.
Images are (B, C, H, W); no row of a batch depends on another.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

EDGE = 1e-6
"""Of a level: what lies so little below a whole one is that one, but for rounding."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""


def parts(images: Tensor) -> Tensor:
    """Return uint8 images with values from 0 to 1, float64."""
    return images.double() / 255


def cut_levels(values: Tensor) -> Tensor:
    """Return values from 0 to 1 as levels, uint8: cut off, not rounded, as the authors store them.

    What lies outside is black or white.
    """
    return values.clamp(0, 1).mul(255).add_(EDGE).to(torch.uint8)


def rounded(levels: Tensor) -> Tensor:
    """Return levels from 0 to 255 as the nearest whole ones, float64."""
    return levels.add(0.5 + EDGE).floor_().clamp_(0, 255)


def of_gray(images: Tensor) -> Tensor:
    """Return the luma (B, 1, H, W) of images."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return (images * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def colour(levels: tuple[int, int, int], like: Tensor) -> Tensor:
    """Return a colour (1, C, 1, 1) with values from 0 to 1, of gray images its luma."""
    values = torch.tensor(levels, dtype=torch.float64, device=like.device).view(1, 3, 1, 1) / 255
    return values if like.shape[1] == 3 else of_gray(values)


def folded(index: Tensor, length: int, border: str) -> Tensor:
    """Return where pixels outside of a side come from.

    Args:
        index: whole numbers, any.
        length: pixels of the side.
        border: ``edge``: the nearest one; ``mirror``: mirrored at the outermost pixel, which is
            not repeated; ``reflect``: mirrored with it.
    """
    if border == "edge":
        return index.clamp(0, length - 1)
    period = 2 * length - 2 if border == "mirror" else 2 * length
    index = index.remainder(period)
    return torch.where(index < length, index, period - index - int(border == "reflect"))


def gaussian_weights(sigma: float, radius: int) -> Tensor:
    """Return the weights (2 · radius + 1,) of a Gaussian that is cut off."""
    steps = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    return weights / weights.sum()


@functools.lru_cache(maxsize=64)
def _blur_matrix(
    sigma: float, length: int, border: str, truncate: float, device: torch.device
) -> Tensor:
    radius = int(truncate * sigma + 0.5)
    weights = gaussian_weights(sigma, radius)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    place = torch.arange(length)
    for weight, shift in zip(weights, range(-radius, radius + 1), strict=True):
        matrix[place, folded(place + shift, length, border)] += weight
    return matrix.to(device)


def gaussian_blur(
    values: Tensor, sigma: float, border: str = "edge", truncate: float = 4.0
) -> Tensor:
    """Return values (…, H, W) blurred by a Gaussian that ends after ``truncate`` deviations."""
    if sigma <= 0:
        return values
    height, width = values.shape[-2:]
    down = _blur_matrix(sigma, height, border, truncate, values.device)
    across = _blur_matrix(sigma, width, border, truncate, values.device)
    return down @ values @ across.T


def correlate(values: Tensor, kernel: Tensor) -> Tensor:
    """Return values (…, H, W) under a small kernel; borders are mirrored without the outermost."""
    height, width = values.shape[-2:]
    rows, columns = (size // 2 for size in kernel.shape)
    place_down = torch.arange(height, device=values.device)
    place_across = torch.arange(width, device=values.device)
    result = torch.zeros_like(values)
    for row, weights in enumerate(kernel.tolist()):
        shifted = values.index_select(-2, folded(place_down + row - rows, height, "mirror"))
        for column, weight in enumerate(weights):
            if weight:
                where = folded(place_across + column - columns, width, "mirror")
                result += weight * shifted.index_select(-1, where)
    return result


@functools.lru_cache(maxsize=64)
def _zoom_matrix(length: int, factor: float, device: torch.device) -> Tensor:
    """Return how a side is cut to its middle part and made as long again, linearly.

    The middle part has ``ceil(length / factor)`` pixels, its first and last become the outermost
    ones of ``round(pixels · factor)``, of which the middle ``length`` are taken.
    """
    pixels = math.ceil(length / factor)
    first = (length - pixels) // 2
    outputs = round(pixels * factor)
    skipped = (outputs - length) // 2
    step = (pixels - 1) / (outputs - 1)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    for row in range(length):
        place = min((row + skipped) * step, pixels - 1)
        below = min(math.floor(place), pixels - 2)
        matrix[row, first + below] = 1 - (place - below)
        matrix[row, first + below + 1] = place - below
    return matrix.to(device)


def zoomed(values: Tensor, factor: float) -> Tensor:
    """Return the middle of square values (…, H, H), ``factor`` times as large."""
    matrix = _zoom_matrix(values.shape[-1], factor, values.device)
    return matrix @ values @ matrix.T


def streak_offsets(angles: Tensor, radius: float) -> Tensor:
    """Return where the pixels of streaks lie, (B, taps, 2) int64: rows and columns from the pixel.

    A streak begins at the pixel and goes to one side, in whole pixels.

    Args:
        angles: (B,) in degrees.
        radius: of the streak.
    """
    taps = torch.arange(2 * math.ceil(radius) + 1, dtype=torch.float64)
    radians = torch.deg2rad(angles)[:, None]
    both = [torch.ceil(taps * side - 0.5) for side in (torch.sin(radians), torch.cos(radians))]
    return torch.stack(both, dim=-1).to(torch.int64)


def streaked(levels: Tensor, offsets: Tensor, sigma: float) -> Tensor:
    """Return levels (B, C, H, W) from 0 to 255 drawn out into streaks, whole ones.

    Args:
        levels: float64; the outermost pixels go on outside.
        offsets: of the streaks, on the same device.
        sigma: a pixel counts as half a Gaussian of its place on the streak.
    """
    count, channels, height, width = levels.shape
    taps = offsets.shape[1]
    halves = torch.exp(-(torch.arange(taps, dtype=torch.float64) ** 2) / (2 * sigma**2))
    weights: list[float] = (halves / halves.sum()).tolist()
    rows = torch.arange(height, device=levels.device)
    columns = torch.arange(width, device=levels.device)
    flat, result = levels.flatten(2), torch.zeros_like(levels).flatten(2)
    for tap, weight in enumerate(weights):
        row = (rows + offsets[:, tap, :1]).clamp_(0, height - 1)
        column = (columns + offsets[:, tap, 1:]).clamp_(0, width - 1)
        index = (row[:, :, None] * width + column[:, None, :]).view(count, 1, -1)
        result += weight * flat.gather(2, index.expand(-1, channels, -1))
    return rounded(result.view_as(levels))


def fractal(numbers: Tensor, decay: float) -> Tensor:
    """Return plasma fractals (B, L, L) from 0 to 1, by the diamond-square algorithm on a torus.

    Args:
        numbers: (B, L, L) in [0, 1), one for each place; L a power of two.
        decay: by how much what is drawn shrinks from each scale to the next.
    """
    length = numbers.shape[-1]
    maps = torch.zeros_like(numbers)
    step, strength = length, 100.0
    while step >= 2:
        half = step // 2
        drawn = strength * strength * (2 * numbers - 1)
        corners = maps[:, ::step, ::step]
        both = corners + corners.roll(-1, 1)
        maps[:, half::step, half::step] = (both + both.roll(-1, 2)) / 4 + drawn[
            :, half::step, half::step
        ]
        middles = maps[:, half::step, half::step]
        beside = corners + corners.roll(-1, 2) + middles + middles.roll(1, 1)
        maps[:, ::step, half::step] = beside / 4 + drawn[:, ::step, half::step]
        above = corners + corners.roll(-1, 1) + middles + middles.roll(1, 2)
        maps[:, half::step, ::step] = above / 4 + drawn[:, half::step, ::step]
        step, strength = half, strength / decay
    maps -= maps.amin((1, 2), keepdim=True)
    return maps / maps.amax((1, 2), keepdim=True)


def at_places(values: Tensor, rows: Tensor, columns: Tensor, border: str) -> Tensor:
    """Return values (B, C, H, W) at places between pixels, bilinear.

    Args:
        values: float64.
        rows: (B, h, w) float64, from the centre of the first pixel.
        columns: likewise.
        border: see :func:`folded`.
    """
    height, width = values.shape[-2:]
    top, left = rows.floor(), columns.floor()
    down, across = (rows - top)[:, None], (columns - left)[:, None]
    flat, channels = values.flatten(2), values.shape[1]
    result = torch.zeros(*values.shape[:2], *rows.shape[1:], dtype=values.dtype, device=rows.device)
    for row, part in ((0, 1 - down), (1, down)):
        row_index = folded(top.long() + row, height, border)
        for column, other in ((0, 1 - across), (1, across)):
            index = row_index * width + folded(left.long() + column, width, border)
            index = index.flatten(1)[:, None].expand(-1, channels, -1)
            result += flat.gather(2, index).view_as(result) * (part * other)
    return result

"""Sampling grids for batches in which each image has its own geometry.

Owns where an output pixel looks in its image, and how levels are read there. What the coordinates
mean (rotation, shear, perspective) is the business of geometry_net. The arithmetic is that of
torchvision on a CPU, in operations that round alike on every device and processor; torchvision's
matrix product does not.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

INTERPOLATIONS = ("nearest", "bilinear")
EXACT = 1 << 24
"""Whole numbers up to this are exact in float32."""

Grid = tuple[Tensor, Tensor]
"""Where output pixels look: x and y, (B, h, w) float32 each, -1 to 1 between the images' edges."""


def affine_grid(maps: Tensor, size: tuple[int, int]) -> Grid:
    """Return the grids of maps from output to input pixels, on their device.

    Args:
        maps: (B, 2, 3) float32, from x and y in pixels from the image's center, in halves of the
            image's width and height.
        size: height and width.
    """
    x, y = _coordinates(size, maps.device, centered=True)
    return _linear(maps[:, 0], x, y), _linear(maps[:, 1], x, y)


def perspective_grid(maps: Tensor, size: tuple[int, int]) -> Grid:
    """Return the grids of projective maps, on their device.

    Args:
        maps: (B, 3, 3) float32, from x and y in pixels from the upper left corner; what the third
            row gives divides what the others give, in halves of the image's width and height.
        size: height and width.
    """
    x, y = _coordinates(size, maps.device, centered=False)
    divisor = _linear(maps[:, 2], x, y)
    across, down = (_linear(maps[:, row], x, y).div_(divisor).sub_(1) for row in (0, 1))
    return across, down


@functools.lru_cache(maxsize=32)
def _coordinates(
    size: tuple[int, int], device: torch.device, *, centered: bool
) -> tuple[Tensor, Tensor]:
    """Return x (W,) and y (H,) of the pixels' centers, from the image's center or its corner."""
    height, width = size
    if centered:
        x = torch.arange(width, device=device) - (width - 1) * 0.5
        return x, torch.arange(height, device=device) - (height - 1) * 0.5
    return torch.arange(width, device=device) + 0.5, torch.arange(height, device=device) + 0.5


def _linear(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return ``ax + by + c`` (B, H, W) for weights (B, 3), rounded after each step.

    A matrix product would leave the order of the sum, and with it nearest pixels, to the library.
    """
    across = weights[:, :1] * x
    down = weights[:, 1:2] * y
    return (across[:, None, :] + down[:, :, None]).add_(weights[:, 2, None, None])


def sample(images: Tensor, grids: Grid, interpolation: str, fill: int) -> Tensor:
    """Return the levels of uint8 images at the grids' places, ``fill`` outside.

    Args:
        images: (B, C, H, W) uint8.
        grids: of each image.
        interpolation: ``nearest`` or ``bilinear``.
        fill: level in [0, 255].

    Raises:
        ValueError: for an unknown interpolation.
    """
    if interpolation not in INTERPOLATIONS:
        known = " and ".join(INTERPOLATIONS)
        raise ValueError(f"interpolation {interpolation!r}: there are {known}")
    if interpolation == "nearest":
        return _sample_nearest(images, grids, fill)
    return _sample_bilinear(images, grids, fill)


def _sample_nearest(images: Tensor, grids: Grid, fill: int) -> Tensor:
    """Return the level of the nearest pixel; half-way, of that with the even coordinate."""
    height, width = images.shape[-2:]
    x = grids[0].add(1).mul_(width / 2).sub_(0.5).round_()
    y = grids[1].add(1).mul_(height / 2).sub_(0.5).round_()
    # Outside, and where a perspective's horizon gives no number, the index is any valid one.
    column, row = x.clamp(0, width - 1), y.clamp(0, height - 1)
    inside = (column == x) & (row == y)
    column, row = column.nan_to_num_(0), row.nan_to_num_(0)
    if height * width > EXACT:
        column, row = column.double(), row.double()
    index = row.mul_(width).add_(column).long().flatten(1)[:, None]
    levels = images.flatten(2).gather(2, index.expand(-1, images.shape[1], -1))
    levels = levels.view(*images.shape[:2], *x.shape[1:])
    # bytes count modulo 256, so this chooses; masked_fill_ is a hundred times as slow on a CPU
    chosen = inside.view(torch.uint8)[:, None]
    return levels.sub_(fill).mul_(chosen).add_(fill) if fill else levels.mul_(chosen)


def _sample_bilinear(images: Tensor, grids: Grid, fill: int) -> Tensor:
    """Return the mean of the four pixels around, which fades to ``fill`` at the border."""
    shape = (len(images), images.shape[1] + 1, *images.shape[2:])
    padded = torch.empty(shape, device=images.device)
    padded[:, :-1].copy_(images)
    padded[:, -1:].fill_(1)
    grid = torch.empty(*grids[0].shape, 2, device=images.device)
    for side, values in enumerate(grids):
        grid[..., side].copy_(values)
    sampled = grid_sample(padded, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    # As in torchvision: the share of the image counts twice, since the sum lacks it already.
    inside = sampled[:, -1:]
    return sampled[:, :-1].sub_(fill).mul_(inside).add_(fill).round_().to(torch.uint8)

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


def affine_grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the grids (B, H, W, 2) float32 of maps from output to input pixels, on their device.

    Args:
        maps: (B, 2, 3) float32, from x and y in pixels from the image's center, in halves of the
            image's width and height.
        size: height and width.
    """
    x, y = _coordinates(size, maps.device, centered=True)
    return torch.stack([_linear(maps[:, row], x, y) for row in (0, 1)], dim=-1)


def perspective_grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the grids (B, H, W, 2) float32 of projective maps, on their device.

    Args:
        maps: (B, 3, 3) float32, from x and y in pixels from the upper left corner; what the third
            row gives divides what the others give, in halves of the image's width and height.
        size: height and width.
    """
    x, y = _coordinates(size, maps.device, centered=False)
    divisor = _linear(maps[:, 2], x, y)
    sides = [_linear(maps[:, row], x, y).div_(divisor).sub_(1) for row in (0, 1)]
    return torch.stack(sides, dim=-1)


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


def sample(images: Tensor, grids: Tensor, interpolation: str, fill: int) -> Tensor:
    """Return the levels of uint8 images at the grids' places, ``fill`` outside.

    Args:
        images: (B, C, H, W) uint8.
        grids: (B, h, w, 2) float32, x and y from -1 to 1 between the outer edges of the images.
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


def _sample_nearest(images: Tensor, grids: Tensor, fill: int) -> Tensor:
    """Return the level of the nearest pixel; half-way, of that with the even coordinate."""
    height, width = images.shape[-2:]
    x = grids[..., 0].add(1).mul_(width / 2).sub_(0.5).round_()
    y = grids[..., 1].add(1).mul_(height / 2).sub_(0.5).round_()
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    # Outside, and where a perspective's horizon gives no number, the index is any valid one.
    x, y = x.masked_fill_(~inside, 0), y.masked_fill_(~inside, 0)
    index = y.long().mul_(width).add_(x.long()).flatten(1)[:, None]
    levels = images.flatten(2).gather(2, index.expand(-1, images.shape[1], -1))
    levels = levels.view(*images.shape[:2], *grids.shape[1:3])
    return levels.masked_fill_(~inside[:, None], fill)


def _sample_bilinear(images: Tensor, grids: Tensor, fill: int) -> Tensor:
    """Return the mean of the four pixels around, which fades to ``fill`` at the border."""
    values = images.to(torch.float32)
    padded = torch.cat([values, torch.ones_like(values[:, :1])], dim=1)
    sampled = grid_sample(padded, grids, mode="bilinear", padding_mode="zeros", align_corners=False)
    # As in torchvision: the share of the image counts twice, since the sum lacks it already.
    inside = sampled[:, -1:]
    return sampled[:, :-1].sub_(fill).mul_(inside).add_(fill).round_().to(torch.uint8)

"""Sampling grids and resampling weights for batches in which each image has its own geometry.

Owns where an output pixel looks in its image, and how levels are read there. What the coordinates
mean (rotation, perspective, box) is the business of geometry_net. The arithmetic is that of
torchvision on a CPU, in operations that round alike on every device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

INTERPOLATIONS = ("nearest", "bilinear")
WEIGHT_BITS = 15
"""Resampling weights are fixed-point numbers below this power of two."""
MAX_PRECISION = 22
EXACT_PRECISION = 16
"""Bits after the point up to which a weighted sum of levels is exact in float32."""


def affine_grid(matrices: Tensor, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the grids (B, H, W, 2) float32 of maps from output to input pixels.

    Args:
        matrices: (B, 2, 3) float64 on the CPU: maps of x and y in pixels from the image's center.
        size: height and width.
        device: of the grids.
    """
    height, width = size
    half = torch.tensor([0.5 * width, 0.5 * height])
    theta = matrices.float().div_(half[:, None]).to(device)
    x = torch.arange(width, device=device) - (width - 1) * 0.5
    y = torch.arange(height, device=device) - (height - 1) * 0.5
    return torch.stack([_linear(theta[:, row], x, y) for row in (0, 1)], dim=-1)


def perspective_grid(coefficients: Tensor, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the grids (B, H, W, 2) float32 of projective maps from output to input pixels.

    Args:
        coefficients: (B, 8) float32 on the CPU: a to h of (ax + by + c) / (gx + hy + 1) for x and
            (dx + ey + f) / (gx + hy + 1) for y, in pixels from the upper left corner.
        size: height and width.
        device: of the grids.
    """
    height, width = size
    half = torch.tensor([0.5 * width, 0.5 * height])
    upper = coefficients[:, :6].reshape(-1, 2, 3).div(half[:, None]).to(device)
    lower = torch.cat([coefficients[:, 6:], torch.ones(len(coefficients), 1)], dim=1).to(device)
    x = torch.arange(width, device=device) + 0.5
    y = torch.arange(height, device=device) + 0.5
    divisor = _linear(lower, x, y)
    sides = [_linear(upper[:, row], x, y).div_(divisor).sub_(1) for row in (0, 1)]
    return torch.stack(sides, dim=-1)


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


def resampling_matrices(
    starts: Tensor, lengths: Tensor, num_inputs: int, num_outputs: int
) -> tuple[Tensor, Tensor]:
    """Return the weights that resize one side of a box, bilinear with antialiasing.

    Fixed-point numbers of torch's ``interpolate(..., antialias=True)`` for uint8 on a CPU.

    Args:
        starts: (B,) int64 on the CPU: first pixel of each box.
        lengths: (B,) int64 on the CPU: pixels of each box, at least 1. What lies outside of the
            image counts as 0.
        num_inputs: pixels of the image's side.
        num_outputs: pixels of the result's side.

    Returns:
        Matrices (B, num_outputs, num_inputs) float64 of whole numbers, and the bits (B,) int64
        after their point.
    """
    scales = (lengths.double() / num_outputs)[:, None]
    reach = scales.clamp(min=1)
    centers = scales * (torch.arange(num_outputs) + 0.5)
    # The casts to int64 cut off towards zero.
    first = (centers - reach + 0.5).long().clamp_(min=0)
    last = torch.minimum((centers + reach + 0.5).long(), lengths[:, None])
    taps = torch.arange(2 * math.ceil(float(reach.max())) + 1)
    pixels = first[..., None] + taps
    distances = (pixels - centers[..., None] + 0.5).mul_(1 / reach[..., None])
    weights = distances.abs_().neg_().add_(1).clamp_(min=0)
    weights.masked_fill_(pixels >= last[..., None], 0)
    weights /= weights.sum(dim=-1, keepdim=True)
    precisions = _precisions(weights.amax(dim=(1, 2)))
    weights.mul_(_power_of_two(precisions)[:, None, None]).add_(0.5).floor_()
    pixels += starts[:, None, None]
    weights.masked_fill_((pixels < 0) | (pixels >= num_inputs), 0)
    matrices = torch.zeros(len(lengths), num_outputs, num_inputs, dtype=torch.float64)
    matrices.scatter_add_(2, pixels.clamp_(0, num_inputs - 1), weights)
    return matrices, precisions


def _precisions(largest: Tensor) -> Tensor:
    """Return how many bits after the point leave the largest weights (B,) below the limit."""
    doubled = _power_of_two(torch.arange(1, MAX_PRECISION + 1))
    fits: Tensor = (0.5 + largest[:, None] * doubled).floor() < 2**WEIGHT_BITS
    return fits.sum(dim=1)


def _power_of_two(exponents: Tensor) -> Tensor:
    """Return ``2 ** exponents`` of int64, float64 and exact."""
    return torch.bitwise_left_shift(torch.ones_like(exponents), exponents).double()


def weighted_levels(values: Tensor, matrices: Tensor, precisions: Tensor) -> Tensor:
    """Return levels, still as floats, of images whose rows are resampled.

    Args:
        values: (B, N, L) of whole numbers in [0, 255], any dtype.
        matrices: (B, M, L), from :func:`resampling_matrices`.
        precisions: (B,) int64 on the CPU, likewise.

    Returns:
        (B, N, M), whole numbers in [0, 255]. The sums are exact, so no device, library or batch
        size changes them.
    """
    # On a GPU float32 products may be of lower precision; float64 ones never are.
    is_exact = values.device.type != "cuda" and int(precisions.max()) <= EXACT_PRECISION
    dtype = torch.float32 if is_exact else torch.float64
    weights = matrices.to(values.device, dtype)
    sums: Tensor = values.to(dtype) @ weights.transpose(1, 2)
    units = _power_of_two(precisions).to(values.device, dtype)[:, None, None]
    return sums.div_(units).add_(0.5).floor_().clamp_(0, 255)

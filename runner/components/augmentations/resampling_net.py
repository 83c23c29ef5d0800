"""Bilinear resizing with antialiasing, exact in whole numbers, of a box of each image.

Owns torch's rule for uint8 images on a CPU: weights in fixed point, columns before rows, whole
levels in between. On other devices torch has no such rule, and no device has one for a box per
image: there the same weights become matrices. What the boxes mean is not known here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

WEIGHT_BITS = 15
"""Weights are fixed-point numbers below this power of two."""
MAX_PRECISION = 22
EXACT_PRECISION = 16
"""Bits after the point up to which a weighted sum of levels is exact in float32."""


def resize_natively(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images (B, C, H, W) uint8 on the CPU at another size, by torch itself."""
    if size == (images.shape[-2], images.shape[-1]):
        return images.clone()
    if not len(images):
        return images.new_empty(0, images.shape[1], *size)
    return interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def resample(
    images: Tensor,
    tops: Tensor,
    lefts: Tensor,
    heights: Tensor,
    widths: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Return a box of each image at another size, for any device and box.

    Args:
        images: (B, C, H, W) uint8.
        tops: (B,) int64 on the CPU, first row.
        lefts: (B,) int64 on the CPU, first column.
        heights: (B,) int64 on the CPU, rows, at least 1.
        widths: (B,) int64 on the CPU, columns, at least 1. What lies outside of the image is 0.
        size: height and width of the result.
    """
    if not len(images):
        return images.new_empty(0, images.shape[1], *size)
    num_channels, height, width = images.shape[1:]
    across, bits = resampling_matrices(lefts, widths, width, size[1], images.device)
    levels = weighted_levels(images.flatten(1, 2), across, bits)
    levels = levels.view(-1, num_channels, height, size[1]).transpose(2, 3).flatten(1, 2)
    down, bits = resampling_matrices(tops, heights, height, size[0], images.device)
    levels = weighted_levels(levels, down, bits).view(-1, num_channels, size[1], size[0])
    return levels.transpose(2, 3).to(torch.uint8, memory_format=torch.contiguous_format)


def resampling_matrices(
    starts: Tensor, lengths: Tensor, num_inputs: int, num_outputs: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the weights that resize one side of a box, bilinear with antialiasing.

    Fixed-point numbers of torch's ``interpolate(..., antialias=True)`` for uint8 on a CPU.

    Args:
        starts: (B,) int64 on the CPU: first pixel of each box.
        lengths: (B,) int64 on the CPU: pixels of each box, at least 1. What lies outside of the
            image counts as 0.
        num_inputs: pixels of the image's side.
        num_outputs: pixels of the result's side.
        device: of the matrices; they are worked out on the CPU, so that devices agree.

    Returns:
        Matrices (B, num_outputs, num_inputs) float64 of whole numbers, and the bits (B,) int64
        after their point, on the CPU.
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
    shape = (len(lengths), num_outputs, num_inputs)
    matrices = torch.zeros(shape, dtype=torch.float64, device=device)
    columns = pixels.clamp_(0, num_inputs - 1).to(device)
    return matrices.scatter_add_(2, columns, weights.to(device)), precisions


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

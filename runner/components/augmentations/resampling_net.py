"""Bilinear resizing with antialiasing, exact in whole numbers, of a box of each image.

Owns torch's rule for uint8 images on a CPU: weights in fixed point, columns before rows, whole
levels in between. On other devices torch has no such rule, and no device has one for a box per
image: there the same weights become matrices. What the boxes mean is not known here.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from runner.components.augmentations.constants_net import positions

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


@dataclass(frozen=True)
class Weights:
    """How one side of boxes is resized, bilinear with antialiasing; a row for each box.

    Attributes:
        first: (B, outputs) int32: the first input pixel of each output pixel.
        weights: (B, outputs, taps) int16: fixed-point numbers, of that pixel and those behind it.
        units: (B,) float64: what stands for 1.
    """

    first: Tensor
    weights: Tensor
    units: Tensor

    def matrices(self, num_inputs: int, dtype: torch.dtype) -> Tensor:
        """Return the weights as matrices (B, outputs, num_inputs) of whole numbers."""
        taps = positions(self.weights.shape[-1], self.first.device)
        columns = (self.first.long()[..., None] + taps).clamp_(0, num_inputs - 1)
        matrices = torch.zeros(
            (*self.first.shape, num_inputs), dtype=dtype, device=self.first.device
        )
        return matrices.scatter_add_(2, columns, self.weights.to(dtype))


def resample(images: Tensor, down: Weights, across: Weights) -> Tensor:
    """Return a box of each image at another size, for any device and box.

    Args:
        images: (B, C, H, W) uint8.
        down: how the boxes' columns are resized, on the device of the images; one row for each
            image, or one for all.
        across: how the rows are, likewise.
    """
    num_channels, height, _width = images.shape[1:]
    size = (down.first.shape[1], across.first.shape[1])
    if not len(images):
        return images.new_empty(0, num_channels, *size)
    levels = weighted_levels(images.flatten(1, 2), across)
    levels = levels.view(-1, num_channels, height, size[1]).transpose(2, 3).flatten(1, 2)
    levels = weighted_levels(levels, down).view(-1, num_channels, size[1], size[0])
    return levels.transpose(2, 3).to(torch.uint8, memory_format=torch.contiguous_format)


@functools.lru_cache(maxsize=16)
def whole_sides(
    before: tuple[int, int], after: tuple[int, int], device: torch.device
) -> tuple[Weights, Weights]:
    """Return how whole images of a size, (height, width), are resized to another."""
    sides = []
    for side, result in zip(before, after, strict=True):
        start, length = torch.zeros(1, dtype=torch.int64), torch.full((1,), side)
        own = resampling_weights(start, length, side, result)
        sides.append(Weights(*(each.to(device) for each in (own.first, own.weights, own.units))))
    return sides[0], sides[1]


def resampling_weights(
    starts: Tensor, lengths: Tensor, num_inputs: int, num_outputs: int
) -> Weights:
    """Return how one side of boxes is resized.

    The fixed-point numbers of torch's ``interpolate(..., antialias=True)`` for uint8 on a CPU;
    worked out on the CPU, so that devices agree.

    Args:
        starts: (B,) int64 on the CPU: first pixel of each box.
        lengths: (B,) int64 on the CPU: pixels of each box, at least 1. What lies outside of the
            image counts as 0.
        num_inputs: pixels of the image's side. For boxes within it, the number of taps depends on
            this and the next alone.
        num_outputs: pixels of the result's side.

    Returns:
        On the CPU.
    """
    scales = (lengths.double() / num_outputs)[:, None]
    reach = scales.clamp(min=1)
    centers = scales * (torch.arange(num_outputs) + 0.5)
    # The casts to int64 cut off towards zero.
    first = (centers - reach + 0.5).long().clamp_(min=0)
    last = torch.minimum((centers + reach + 0.5).long(), lengths[:, None])
    widest = max(num_inputs / num_outputs, float(reach.max()))
    taps = torch.arange(2 * math.ceil(widest) + 1)
    pixels = first[..., None] + taps
    distances = (pixels - centers[..., None] + 0.5).mul_(1 / reach[..., None])
    weights = distances.abs_().neg_().add_(1).clamp_(min=0)
    weights.masked_fill_(pixels >= last[..., None], 0)
    weights /= weights.sum(dim=-1, keepdim=True)
    units = _power_of_two(_precisions(weights.amax(dim=(1, 2))))
    weights.mul_(units[:, None, None]).add_(0.5).floor_()
    first += starts[:, None]
    pixels += starts[:, None, None]
    weights.masked_fill_((pixels < 0) | (pixels >= num_inputs), 0)
    return Weights(first.to(torch.int32), weights.to(torch.int16), units)


def _precisions(largest: Tensor) -> Tensor:
    """Return how many bits after the point leave the largest weights (B,) below the limit."""
    doubled = _power_of_two(torch.arange(1, MAX_PRECISION + 1))
    fits: Tensor = (0.5 + largest[:, None] * doubled).floor() < 2**WEIGHT_BITS
    return fits.sum(dim=1)


def _power_of_two(exponents: Tensor) -> Tensor:
    """Return ``2 ** exponents`` of int64, float64 and exact."""
    return torch.bitwise_left_shift(torch.ones_like(exponents), exponents).double()


def weighted_levels(values: Tensor, side: Weights) -> Tensor:
    """Return levels, still as floats, of images whose rows are resampled.

    Args:
        values: (B, N, L) of whole numbers in [0, 255], any dtype.
        side: how, on the same device; one row for each image, or one for all.

    Returns:
        (B, N, outputs), whole numbers in [0, 255]. The sums are exact, so no device, library or
        batch size changes them.
    """
    # On a GPU float32 products may be of lower precision; float64 ones never are.
    is_exact = values.device.type == "cpu" and float(side.units.max()) <= 2**EXACT_PRECISION
    dtype = torch.float32 if is_exact else torch.float64
    weights = side.matrices(values.shape[-1], dtype).transpose(1, 2)
    sums: Tensor = values.to(dtype) @ (weights[0] if len(weights) == 1 else weights)
    units = side.units.to(dtype)[:, None, None]
    return sums.div_(units).add_(0.5).floor_().clamp_(0, 255)

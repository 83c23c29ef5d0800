"""Geometric operations on batches of uint8 images, each image with its own parameters.

Owns what boxes, angles and points mean; how pixels are read is for sampling_net. Drawing parameters
and choosing images are the caller's. What an operation means, and how it rounds, is what
torchvision.transforms.v2.functional does to one uint8 tensor on a CPU with AVX2. No row of a batch
depends on another row.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as nn_functional
from torch import Tensor

from runner.components.augmentations.chunking_net import in_chunks
from runner.components.augmentations.resampling_net import resample, resize_natively
from runner.components.augmentations.sampling_net import (
    affine_grid,
    perspective_grid,
    sample,
)

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
SPARED = {"reflect": 1, "symmetric": 0}
"""Outermost pixels that a mirror leaves out."""

Borders = tuple[int, int, int, int]
"""Pixels on the left, top, right and bottom."""


def horizontal_flip(images: Tensor) -> Tensor:
    """Return the images (B, C, H, W) uint8 mirrored left to right."""
    return images.flip(-1)


def vertical_flip(images: Tensor) -> Tensor:
    """Return the images (B, C, H, W) uint8 mirrored top to bottom."""
    return images.flip(-2)


@in_chunks
def pad(images: Tensor, padding: int | Borders, mode: str, fill: int = 0) -> Tensor:
    """Add a border to all sides; bitwise as torchvision.

    Args:
        images: (B, C, H, W) uint8.
        padding: pixels on each side, at least 0, or on the left, top, right and bottom.
        mode: ``constant``: the level ``fill``; ``edge``: the nearest pixel; ``reflect``: mirrored
            at the outermost pixel, which is not repeated; ``symmetric``: mirrored with it.
        fill: level in [0, 255].

    Raises:
        ValueError: for an unknown mode, and to mirror more pixels than there are.
    """
    if mode not in PADDING_MODES:
        raise ValueError(f"padding mode {mode!r}: there are {', '.join(PADDING_MODES)}")
    left, top, right, bottom = (padding,) * 4 if isinstance(padding, int) else padding
    if mode == "constant":
        return nn_functional.pad(images, (left, right, top, bottom), value=fill)
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        length = images.shape[dim]
        if max(before, after) > length - SPARED.get(mode, -math.inf):
            raise ValueError(f"mirroring {max(before, after)} of {length} pixels ({mode})")
        index = torch.arange(-before, length + after, device=images.device)
        if mode == "edge":
            index.clamp_(0, length - 1)
        elif mode == "reflect":
            index = (length - 1) - ((length - 1) - index.abs_()).abs_()
        else:
            index = torch.where(index < 0, -1 - index, index)
            index = torch.where(index < length, index, 2 * length - 1 - index)
        images = images.index_select(dim, index)
    return images


@in_chunks
def crop(images: Tensor, tops: Tensor, lefts: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut a box out of each image; bitwise as torchvision for boxes that touch their image.

    Args:
        images: (B, C, H, W) uint8.
        tops: (B,) int64, first row.
        lefts: (B,) int64, first column.
        size: height and width of the boxes. What lies outside of the image is 0.

    Returns:
        (B, C, height, width) uint8.
    """
    tops, lefts = _on_cpu(tops), _on_cpu(lefts)
    if not len(images):
        return images.new_empty(0, images.shape[1], *size)
    borders = []
    for starts, length, side in ((lefts, size[1], -1), (tops, size[0], -2)):
        before = max(0, -int(starts.min()))
        borders += [before, max(0, int(starts.max()) + length - images.shape[side])]
        starts += before
    if any(borders):
        images = nn_functional.pad(images, borders)
    windows = images.unfold(2, size[0], 1).unfold(3, size[1], 1)
    rows = torch.arange(len(images), device=images.device)
    return windows[rows, :, tops.to(images.device), lefts.to(images.device)].contiguous()


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize all images to height and width, bilinear with antialiasing; as torchvision on a CPU.

    The result is the same on a GPU, where torchvision itself is within 2 levels of that, as it is
    on processors on which it does not resize uint8 images natively (neither AVX2 nor NEON).

    Args:
        images: (B, C, H, W) uint8.
        size: height and width of the result.
    """
    if images.device.type == "cpu":
        return resize_natively(images, size)
    height, width = _size(images)
    zeros = torch.zeros(len(images), dtype=torch.int64)
    return resample(images, zeros, zeros, zeros + height, zeros + width, size)


def resized_crop(
    images: Tensor,
    tops: Tensor,
    lefts: Tensor,
    heights: Tensor,
    widths: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Cut a box out of each image and resize it; exactness as for :func:`resize`.

    Args:
        images: (B, C, H, W) uint8.
        tops: (B,) int64, first row.
        lefts: (B,) int64, first column.
        heights: (B,) int64, rows, at least 1.
        widths: (B,) int64, columns, at least 1. What lies outside of the image is 0.
        size: height and width of the result.

    Returns:
        (B, C, size) uint8.
    """
    top, left, height, width = (_on_cpu(each) for each in (tops, lefts, heights, widths))
    is_inside = (top >= 0) & (left >= 0)
    is_inside &= (top + height <= images.shape[-2]) & (left + width <= images.shape[-1])
    if images.device.type != "cpu" or not is_inside.all() or not len(images):
        return resample(images, top, left, height, width, size)
    # Image by image: torch's own resizing takes one box, and is faster than products of matrices.
    boxes = zip(top.tolist(), left.tolist(), height.tolist(), width.tolist(), strict=True)
    resized = images.new_empty(*images.shape[:2], *size)
    for number, (y, x, rows, columns) in enumerate(boxes):
        box = images[number : number + 1, :, y : y + rows, x : x + columns]
        resized[number] = resize_natively(box, size)[0]
    return resized


@in_chunks
def perspective(
    images: Tensor, startpoints: Tensor, endpoints: Tensor, interpolation: str, fill: int = 0
) -> Tensor:
    """Move four corners of each image; as torchvision on a CPU but for ties.

    Half-way between two pixels or levels torchvision's choice depends on the processor, whose
    library may round a product and a sum as one; here it is the same everywhere. Bilinear sampling
    on a GPU, or on a CPU without AVX2, is within 1 level of that.

    Args:
        images: (B, C, H, W) uint8.
        startpoints: (B, 4, 2) whole numbers: x and y of the corners, from the upper left clockwise.
        endpoints: (B, 4, 2) whole numbers: where they go.
        interpolation: ``nearest`` or ``bilinear``.
        fill: level in [0, 255] of what lies outside of the image.
    """
    starts, ends = _on_cpu(startpoints).double(), _on_cpu(endpoints).double()
    x, y = ends.unbind(dim=2)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    # Two equations for each corner, linear in the eight coefficients.
    for_x = [x, y, one, zero, zero, zero, -starts[..., 0] * x, -starts[..., 0] * y]
    for_y = [zero, zero, zero, x, y, one, -starts[..., 1] * x, -starts[..., 1] * y]
    equations = torch.stack([torch.stack(for_x, dim=-1), torch.stack(for_y, dim=-1)], dim=2)
    known = starts.flatten(1)[..., None]
    solved = torch.linalg.lstsq(equations.flatten(1, 2), known, driver="gels").solution
    grids = perspective_grid(solved[..., 0].float(), _size(images), images.device)
    return sample(images, grids, interpolation, fill)


@in_chunks
def affine(
    images: Tensor,
    angles: Tensor,
    translations: Tensor,
    scales: Tensor,
    shears: Tensor,
    interpolation: str,
    fill: int = 0,
) -> Tensor:
    """Turn, scale, shear and shift each image about its center; exactness as :func:`perspective`.

    Args:
        images: (B, C, H, W) uint8.
        angles: (B,) degrees, clockwise.
        translations: (B, 2) pixels to the right and down.
        scales: (B,) above 0.
        shears: (B, 2) degrees along x and y.
        interpolation: ``nearest`` or ``bilinear``.
        fill: level in [0, 255] of what lies outside of the image.
    """
    matrices = _inverse_affine(angles, translations, scales, shears)
    grids = affine_grid(matrices, _size(images), images.device)
    return sample(images, grids, interpolation, fill)


@in_chunks
def rotate(images: Tensor, angles: Tensor, interpolation: str, fill: int = 0) -> Tensor:
    """Turn each image about its center, its size kept; exactness as :func:`perspective`.

    Args:
        images: (B, C, H, W) uint8.
        angles: (B,) degrees, counter-clockwise.
        interpolation: ``nearest`` or ``bilinear``.
        fill: level in [0, 255] of what lies outside of the image.
    """
    turns = -(_on_cpu(angles).double() % 360)
    nothing = torch.zeros(len(turns), 2)
    matrices = _inverse_affine(turns, nothing, torch.ones(len(turns)), nothing)
    return sample(images, affine_grid(matrices, _size(images), images.device), interpolation, fill)


def _inverse_affine(angles: Tensor, translations: Tensor, scales: Tensor, shears: Tensor) -> Tensor:
    """Return (B, 2, 3) float64 maps from output to input pixels, both from the image's center.

    The inverse of shift · rotate · scale · shear y · shear x; without the scale the determinant
    is 1. Always on the CPU, so that devices agree.
    """
    radians = math.pi / 180
    turn = _on_cpu(angles).double() * radians
    shear_x, shear_y = (_on_cpu(shears).double() * radians).unbind(dim=1)
    shift_x, shift_y = _on_cpu(translations).double().unbind(dim=1)
    scale = _on_cpu(scales).double()
    a = torch.cos(turn - shear_y) / torch.cos(shear_y)
    b = -(a * torch.tan(shear_x) + torch.sin(turn))
    c = torch.sin(turn - shear_y) / torch.cos(shear_y)
    d = torch.cos(turn) - c * torch.tan(shear_x)
    rows = []
    for along_x, along_y in ((d / scale, -b / scale), (-c / scale, a / scale)):
        rows.append(torch.stack([along_x, along_y, -along_x * shift_x - along_y * shift_y], dim=1))
    return torch.stack(rows, dim=1)


@in_chunks
def erase(
    images: Tensor, tops: Tensor, lefts: Tensor, heights: Tensor, widths: Tensor, value: int
) -> Tensor:
    """Set a box of each image to one level; bitwise as torchvision.

    Args:
        images: (B, C, H, W) uint8.
        tops: (B,) int64, first row, at least 0.
        lefts: (B,) int64, first column, at least 0.
        heights: (B,) int64, rows; a box without rows or columns erases nothing.
        widths: (B,) int64, columns; what lies outside of the image is left out.
        value: level in [0, 255].
    """
    sides = []
    for starts, lengths, dim in ((tops, heights, 2), (lefts, widths, 3)):
        index = torch.arange(images.shape[dim], device=images.device)
        first = starts.to(images.device)[:, None]
        sides.append((index >= first) & (index < first + lengths.to(images.device)[:, None]))
    box = sides[0][:, None, :, None] & sides[1][:, None, None, :]
    return images.masked_fill(box, value)


def _on_cpu(parameters: Tensor) -> Tensor:
    """Return a copy of parameters on the CPU, where coordinates are worked out for all devices."""
    return parameters.detach().to("cpu", copy=True)


def _size(images: Tensor) -> tuple[int, int]:
    """Return height and width."""
    return images.shape[-2], images.shape[-1]

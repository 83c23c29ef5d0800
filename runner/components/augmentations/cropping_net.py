"""Cropping, padding, resizing and erasing batches of uint8 images, each with its own box.

Owns what boxes and borders mean; how pixels are resampled is for resampling_net. Drawing parameters
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
from runner.components.augmentations.rows_net import on_cpu

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
SPARED = {"reflect": 1, "symmetric": 0}
"""Outermost pixels that a mirror leaves out."""

Borders = tuple[int, int, int, int]
"""Pixels on the left, top, right and bottom."""


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
    tops, lefts = on_cpu(tops), on_cpu(lefts)
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
    height, width = images.shape[-2:]
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
    top, left, height, width = (on_cpu(each) for each in (tops, lefts, heights, widths))
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

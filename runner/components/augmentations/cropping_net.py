"""Cropping, padding, resizing and erasing batches of uint8 images, each with its own box.

Owns what boxes and borders mean; how pixels are resampled is for resampling_net. Drawing parameters
and choosing images are the caller's. What an operation means, and how it rounds, is what
torchvision.transforms.v2.functional does to one uint8 tensor on a CPU with AVX2. No row of a batch
depends on another row.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as nn_functional
from torch import Tensor

from runner.components.augmentations.borders_net import SPARED, border_index
from runner.components.augmentations.chunking_net import in_chunks
from runner.components.augmentations.constants_net import per_channel, positions
from runner.components.augmentations.resampling_net import (
    resample,
    resize_natively,
    whole_sides,
)
from runner.components.augmentations.rows_net import empty_like

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
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
        if before or after:
            index = border_index(mode, before, length, after, images.device)
            images = _extended(images, dim, index, before, after)
    return images


def _extended(images: Tensor, dim: int, index: Tensor, before: int, after: int) -> Tensor:
    """Return ``images.index_select(dim, index)``, whose middle is the images themselves."""
    if images.device.type != "cpu":
        return images.index_select(dim, index)
    size = [images.shape[-2], images.shape[-1]]
    size[dim] += before + after
    extended = empty_like(images, (size[0], size[1]))
    end = before + images.shape[dim]
    extended.narrow(dim, before, images.shape[dim]).copy_(images)
    extended.narrow(dim, 0, before).copy_(images.index_select(dim, index[:before]))
    extended.narrow(dim, end, after).copy_(images.index_select(dim, index[end:]))
    return extended


def crop(images: Tensor, tops: Tensor, lefts: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut a box out of each image; bitwise as torchvision.

    Args:
        images: (B, C, H, W) uint8.
        tops: (B,) int64, first row.
        lefts: (B,) int64, first column. The boxes must lie within their images.
        size: height and width of the boxes.

    Returns:
        (B, C, height, width) uint8.
    """
    height, width = size
    if images.device.type == "cpu":
        boxes = empty_like(images, size)
        pixels, cut = images.numpy(), boxes.numpy()
        for row, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
            cut[row] = pixels[row, :, top : top + height, left : left + width]
        return boxes
    rows = (tops[:, None] + positions(height, images.device))[:, None, :, None]
    columns = (lefts[:, None] + positions(width, images.device))[:, None, None, :]
    number = positions(len(images), images.device)[:, None, None, None]
    channel = positions(images.shape[1], images.device)[:, None, None]
    return images[number, channel, rows, columns]


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
    return resample(images, *whole_sides((images.shape[-2], images.shape[-1]), size, images.device))


def resized_crop(
    images: Tensor,
    tops: Tensor,
    lefts: Tensor,
    heights: Tensor,
    widths: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Cut a box out of each image on the CPU and resize it; exactness as for :func:`resize`.

    For other devices there is ``resample``, whose result is the same.

    Args:
        images: (B, C, H, W) uint8.
        tops: (B,) int64, first row.
        lefts: (B,) int64, first column.
        heights: (B,) int64, rows, at least 1.
        widths: (B,) int64, columns, at least 1. The boxes must lie within their images.
        size: height and width of the result.

    Returns:
        (B, C, size) uint8.
    """
    # Image by image: torch's own resizing takes one box, and is faster than products of matrices.
    sides = (each.tolist() for each in (tops, lefts, heights, widths))
    resized = images.new_empty(*images.shape[:2], *size)
    for number, (y, x, rows, columns) in enumerate(zip(*sides, strict=True)):
        box = images[number : number + 1, :, y : y + rows, x : x + columns]
        resized[number] = resize_natively(box, size)[0]
    return resized


def erase(
    images: Tensor,
    tops: Tensor,
    lefts: Tensor,
    heights: Tensor,
    widths: Tensor,
    levels: tuple[int, ...],
) -> Tensor:
    """Set a box of each image to one level, or to one for each channel; bitwise as torchvision.

    Args:
        images: (B, C, H, W) uint8.
        tops: (B,) int64, first row, at least 0.
        lefts: (B,) int64, first column, at least 0.
        heights: (B,) int64, rows; a box without rows or columns erases nothing.
        widths: (B,) int64, columns; what lies outside of the image is left out.
        levels: in [0, 255], one for all channels or one for each.
    """
    if images.device.type == "cpu":
        erased = images.clone()
        pixels, level = erased.permute(0, 2, 3, 1).numpy(), np.array(levels, dtype=np.uint8)
        sides = (each.tolist() for each in (tops, lefts, heights, widths))
        for row, (top, left, height, width) in enumerate(zip(*sides, strict=True)):
            pixels[row, top : top + height, left : left + width] = level
        return erased
    within = []
    for starts, lengths, dim in ((tops, heights, 2), (lefts, widths, 3)):
        index = positions(images.shape[dim], images.device) - starts[:, None]
        within.append((index >= 0) & (index < lengths[:, None]))
    box = within[0][:, None, :, None] & within[1][:, None, None, :]
    if len(levels) == 1:
        return images.masked_fill(box, levels[0])
    return torch.where(box, per_channel(levels, images.device), images)

"""Perspective, affine maps and rotation worked out in float64, as an answer from a third side.

Owns where an output pixel looks, and which levels are right there. Where that place lies half-way
between two pixels, or a level half-way between two, float32 may take either, and which one depends
on the order of its operations: torchvision leaves it to the matrix product of the processor's
library.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

NEAR = 1e-4
"""Pixels from a tie within which float32 may take either side."""
NEAR_LEVELS = 0.02
"""Levels from a tie; what NEAR pixels change where neighbours differ by 255 levels is below."""

SAMPLED = ("perspective", "affine", "rotate")

Array = NDArray[np.float64]


def right_levels(
    name: str, images: Tensor, each: dict[str, Tensor], interpolation: str, fill: int
) -> list[Tensor]:
    """Return the levels (B, C, H, W) that are right, as alternatives; mostly they are equal.

    Args:
        name: one of SAMPLED.
        images: (B, C, H, W) uint8.
        each: parameters, a row for each image.
        interpolation: ``nearest`` or ``bilinear``.
        fill: level outside of the image.
    """
    size = (images.shape[-2], images.shape[-1])
    rows = [
        {key: value[row].double().numpy() for key, value in each.items()}
        for row in range(len(images))
    ]
    points = torch.from_numpy(np.stack([_points(name, row, size) for row in rows]))
    if interpolation == "bilinear":
        exact = _bilinear(images, points, fill)
        return [_half_up(exact + change) for change in (-NEAR_LEVELS, NEAR_LEVELS)]
    return [
        _nearest(images, points + torch.tensor([x, y], dtype=torch.float64), fill)
        for x in (-NEAR, NEAR)
        for y in (-NEAR, NEAR)
    ]


def _points(name: str, row: dict[str, Array], size: tuple[int, int]) -> Array:
    """Return (H, W, 2): x and y in the image, in pixels from the center of its first one."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    if name == "perspective":
        points, inverse, shift = (x + 0.5, y + 0.5), _projection(**row), (0.5, 0.5)
    else:
        center = ((width - 1) / 2, (height - 1) / 2)
        points, inverse = (x - center[0], y - center[1]), np.linalg.inv(_forward(name, row))
        shift = (-center[0], -center[1])
    above = np.stack([*points, np.ones_like(x)], axis=-1) @ inverse.T
    return above[..., :2] / above[..., 2:] - shift


def _projection(startpoints: Array, endpoints: Array) -> Array:
    """Return the (3, 3) matrix that takes the end points to the start points."""
    equations, known = [], []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        equations += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        known += [u, v]
    solved = np.linalg.solve(np.array(equations), np.array(known))
    return np.append(solved, 1.0).reshape(3, 3)


def _forward(name: str, row: dict[str, Array]) -> Array:
    """Return the (3, 3) map of pixels about the center: shear, scale, turn, shift."""
    if name == "rotate":
        return _turn(-row["angles"])
    shear_x, shear_y = np.radians(row["shears"])
    shears = np.array([[1, 0, 0], [-np.tan(shear_y), 1, 0], [0, 0, 1.0]]) @ np.array(
        [[1, -np.tan(shear_x), 0], [0, 1, 0], [0, 0, 1.0]]
    )
    shift = np.eye(3)
    shift[:2, 2] = row["translations"]
    return shift @ _turn(row["angles"]) @ np.diag([row["scales"], row["scales"], 1.0]) @ shears


def _turn(degrees: Array) -> Array:
    angle = np.radians(degrees % 360)
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])


def _half_up(values: Tensor) -> Tensor:
    return (values + 0.5).floor()


def _nearest(images: Tensor, points: Tensor, fill: int) -> Tensor:
    height, width = images.shape[-2:]
    x, y = _half_up(points).unbind(dim=-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = torch.where(inside, y * width + x, torch.zeros_like(x)).long().flatten(1)
    index = index[:, None].expand(-1, images.shape[1], -1)
    levels = images.flatten(2).gather(2, index).view(images.shape)
    return levels.masked_fill(~inside[:, None], fill).double()


def _bilinear(images: Tensor, points: Tensor, fill: int) -> Tensor:
    """Return float64 levels; the share of the image counts twice, as in torchvision."""
    height, width = images.shape[-2:]
    grids = (2 * points + 1) / torch.tensor([width, height], dtype=torch.float64) - 1
    values = images.double()
    sampled, inside = (
        grid_sample(part, grids, mode="bilinear", padding_mode="zeros", align_corners=False)
        for part in (values, torch.ones_like(values))
    )
    return (sampled - fill) * inside + fill

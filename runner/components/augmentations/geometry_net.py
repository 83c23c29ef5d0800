"""Geometric operations on batches of uint8 images, each image with its own parameters.

Owns what angles and points mean: maps are worked out of them on the CPU, so that devices agree; how
pixels are read is for sampling_net. Drawing parameters and choosing images are the caller's. What
an operation means, and how it rounds, is what torchvision.transforms.v2.functional does to one
uint8 tensor on a CPU with AVX2. No row of a batch depends on another row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runner.components.augmentations.chunking_net import in_chunks
from runner.components.augmentations.sampling_net import (
    affine_grid,
    perspective_grid,
    sample,
)


def horizontal_flip(images: Tensor) -> Tensor:
    """Return the images (B, C, H, W) uint8 mirrored left to right."""
    return images.flip(-1)


def vertical_flip(images: Tensor) -> Tensor:
    """Return the images (B, C, H, W) uint8 mirrored top to bottom."""
    return images.flip(-2)


def perspective_maps(startpoints: Tensor, endpoints: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the projective maps that move four corners of each image, as :func:`perspective`'s.

    Args:
        startpoints: (B, 4, 2) whole numbers on the CPU: x and y of the corners, from the upper
            left clockwise.
        endpoints: (B, 4, 2) whole numbers on the CPU: where they go.
        size: height and width of the images.

    Returns:
        (B, 3, 3) float32 on the CPU.
    """
    starts, ends = startpoints.double(), endpoints.double()
    x, y = ends.unbind(dim=2)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    # Two equations for each corner, linear in the eight coefficients.
    for_x = [x, y, one, zero, zero, zero, -starts[..., 0] * x, -starts[..., 0] * y]
    for_y = [zero, zero, zero, x, y, one, -starts[..., 1] * x, -starts[..., 1] * y]
    equations = torch.stack([torch.stack(for_x, dim=-1), torch.stack(for_y, dim=-1)], dim=2)
    known = starts.flatten(1)[..., None]
    solved = torch.linalg.lstsq(equations.flatten(1, 2), known, driver="gels").solution
    coefficients = solved[..., 0].float()
    upper = coefficients[:, :6].reshape(-1, 2, 3).div(_half(size))
    lower = torch.cat([coefficients[:, 6:], torch.ones(len(coefficients), 1)], dim=1)
    return torch.cat([upper, lower[:, None]], dim=1)


def affine_maps(
    angles: Tensor, translations: Tensor, scales: Tensor, shears: Tensor, size: tuple[int, int]
) -> Tensor:
    """Return the affine maps that turn, scale, shear and shift images about their center.

    The inverse of shift · rotate · scale · shear y · shear x; without the scale the determinant
    is 1.

    Args:
        angles: (B,) degrees, clockwise; all on the CPU.
        translations: (B, 2) pixels to the right and down.
        scales: (B,) above 0.
        shears: (B, 2) degrees along x and y.
        size: height and width of the images.

    Returns:
        (B, 2, 3) float32 on the CPU.
    """
    radians = math.pi / 180
    turn = angles.double() * radians
    shear_x, shear_y = (shears.double() * radians).unbind(dim=1)
    shift_x, shift_y = translations.double().unbind(dim=1)
    scale = scales.double()
    a = torch.cos(turn - shear_y) / torch.cos(shear_y)
    b = -(a * torch.tan(shear_x) + torch.sin(turn))
    c = torch.sin(turn - shear_y) / torch.cos(shear_y)
    d = torch.cos(turn) - c * torch.tan(shear_x)
    rows = []
    for along_x, along_y in ((d / scale, -b / scale), (-c / scale, a / scale)):
        rows.append(torch.stack([along_x, along_y, -along_x * shift_x - along_y * shift_y], dim=1))
    return torch.stack(rows, dim=1).float().div_(_half(size))


def rotation_maps(angles: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the affine maps (B, 2, 3) that turn images about their center.

    Args:
        angles: (B,) degrees, counter-clockwise, on the CPU.
        size: height and width of the images.
    """
    turns = -(angles.double() % 360)
    nothing = torch.zeros(len(turns), 2)
    return affine_maps(turns, nothing, torch.ones(len(turns)), nothing, size)


def _half(size: tuple[int, int]) -> Tensor:
    """Return half of width and height, (2, 1): grids count in these."""
    height, width = size
    return torch.tensor([[0.5 * width], [0.5 * height]])


@in_chunks
def perspective(images: Tensor, maps: Tensor, interpolation: str, fill: int = 0) -> Tensor:
    """Distort the perspective of each image; as torchvision on a CPU but for ties.

    Half-way between two pixels or levels torchvision's choice depends on the processor, whose
    library may round a product and a sum as one; here it is the same everywhere. Bilinear sampling
    on a GPU, or on a CPU without AVX2, is within 1 level of that.

    Args:
        images: (B, C, H, W) uint8.
        maps: (B, 3, 3) float32, from :func:`perspective_maps`.
        interpolation: ``nearest`` or ``bilinear``.
        fill: level in [0, 255] of what lies outside of the image.
    """
    return sample(images, perspective_grid(maps, _size(images)), interpolation, fill)


@in_chunks
def affine(images: Tensor, maps: Tensor, interpolation: str, fill: int = 0) -> Tensor:
    """Turn, scale, shear and shift each image about its center; exactness as :func:`perspective`.

    Args:
        images: (B, C, H, W) uint8.
        maps: (B, 2, 3) float32, from :func:`affine_maps` or :func:`rotation_maps`.
        interpolation: ``nearest`` or ``bilinear``.
        fill: level in [0, 255] of what lies outside of the image.
    """
    return sample(images, affine_grid(maps, _size(images)), interpolation, fill)


def _size(images: Tensor) -> tuple[int, int]:
    """Return height and width."""
    return images.shape[-2], images.shape[-1]

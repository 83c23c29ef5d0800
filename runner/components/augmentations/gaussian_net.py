"""Gaussian blur of batches of uint8 images, each image with kernels of its own.

Owns the arithmetic only: drawing the sigmas is the caller's. What it means, and how it rounds, is
what torchvision.transforms.v2.functional does. No row of a batch depends on another row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runner.components.augmentations.borders_net import border_index
from runner.components.augmentations.chunking_net import in_chunks


@in_chunks
def gaussian_blur(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Blur each image with its own kernels; within 1 level of torchvision.

    Rows and columns one after the other, where torchvision takes the plane at once.

    Args:
        images: (B, C, H, W) uint8.
        across: (B, width) of the kernels, float32 from :func:`gaussian_kernels`.
        down: (B, height) of the kernels, likewise.

    Raises:
        ValueError: for a kernel that is even or too large for the images.
    """
    blurred = images.to(torch.float32)
    for dim, kernels in ((-1, across), (-2, down)):
        size = kernels.shape[1]
        if size % 2 == 0 or size // 2 >= images.shape[dim]:
            raise ValueError(f"a blur of size {size} for {images.shape[dim]} pixels")
        if size > 1:
            blurred = _blur_along(blurred, dim, kernels)
    return blurred.round_().to(torch.uint8)


def gaussian_kernels(size: int, sigmas: Tensor) -> Tensor:
    """Return normalised Gaussians, with torchvision's scale.

    Args:
        size: pixels, odd.
        sigmas: (B,) standard deviations in pixels, above 0, on the CPU.

    Returns:
        (B, size) float32 on the CPU.
    """
    limit = (size - 1) / (2 * math.sqrt(2))
    steps = torch.linspace(-limit, limit, steps=size)
    return torch.softmax((steps / sigmas.float()[:, None]).pow(2).neg(), dim=1)


def _blur_along(images: Tensor, dim: int, kernels: Tensor) -> Tensor:
    """Return float images (B, C, H, W) blurred along a dimension with symmetric ``kernels``."""
    half, length = kernels.shape[1] // 2, images.shape[dim]
    padded = images.index_select(dim, border_index("reflect", half, length, half, images.device))
    weights = kernels[:, :, None, None, None]
    blurred = images * weights[:, half]
    # Sums of whole tensors, not a convolution: its order of summation depends on the batch.
    for tap in range(half):
        pair = padded.narrow(dim, tap, length) + padded.narrow(dim, 2 * half - tap, length)
        blurred += pair.mul_(weights[:, tap])
    return blurred

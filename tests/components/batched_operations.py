"""The image operations for batches, under torchvision's names and with its parameters.

What the runner does in two parts, the parameters of a batch on the CPU and its images on a device,
as one function: what is compared with torchvision_operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from runner.components.augmentations import (
    color_net,
    cropping_net,
    gaussian_net,
    geometry_net,
    resampling_net,
)


def batched(name: str) -> Callable[..., Tensor]:
    """Return an operation on images (B, C, H, W) and parameters with a row for each image."""
    if name in COMPOSED:
        return COMPOSED[name]
    modules = (gaussian_net, color_net, cropping_net, geometry_net)
    operation: Callable[..., Tensor] = getattr(
        next(module for module in modules if hasattr(module, name)), name
    )
    return operation


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]


def _gaussian_blur(images: Tensor, kernel_size: tuple[int, int], sigmas: Tensor) -> Tensor:
    kernels = [gaussian_net.gaussian_kernels(size, sigmas.cpu()) for size in kernel_size]
    return gaussian_net.gaussian_blur(images, *(each.to(images.device) for each in kernels))


def _perspective(images: Tensor, startpoints: Tensor, endpoints: Tensor, **how: Any) -> Tensor:
    maps = geometry_net.perspective_maps(startpoints.cpu(), endpoints.cpu(), _size(images))
    return geometry_net.perspective(images, maps.to(images.device), **how)


def _affine(
    images: Tensor,
    angles: Tensor,
    translations: Tensor,
    scales: Tensor,
    shears: Tensor,
    **how: Any,
) -> Tensor:
    each = (angles.cpu(), translations.cpu(), scales.cpu(), shears.cpu())
    maps = geometry_net.affine_maps(*each, size=_size(images))
    return geometry_net.affine(images, maps.to(images.device), **how)


def _rotate(images: Tensor, angles: Tensor, **how: Any) -> Tensor:
    maps = geometry_net.rotation_maps(angles.cpu(), _size(images))
    return geometry_net.affine(images, maps.to(images.device), **how)


def _crop(images: Tensor, tops: Tensor, lefts: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes out; what lies outside of an image is 0."""
    if not len(images):
        return cropping_net.crop(images, tops, lefts, size)
    top, left = max(0, -int(tops.min())), max(0, -int(lefts.min()))
    bottom = max(0, int(tops.max()) + size[0] - images.shape[-2])
    right = max(0, int(lefts.max()) + size[1] - images.shape[-1])
    padded = torch.nn.functional.pad(images, (left, right, top, bottom))
    on_device = ((tops + top).to(images.device), (lefts + left).to(images.device))
    return cropping_net.crop(padded, *on_device, size)


def _resized_crop(
    images: Tensor,
    tops: Tensor,
    lefts: Tensor,
    heights: Tensor,
    widths: Tensor,
    size: tuple[int, int],
) -> Tensor:
    inside = (tops >= 0) & (lefts >= 0)
    inside &= (tops + heights <= images.shape[-2]) & (lefts + widths <= images.shape[-1])
    if images.device.type == "cpu" and inside.all():
        return cropping_net.resized_crop(images, tops, lefts, heights, widths, size)
    return resampled(images, tops, lefts, heights, widths, size)


def resampled(
    images: Tensor,
    tops: Tensor,
    lefts: Tensor,
    heights: Tensor,
    widths: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Return boxes at another size, as on a GPU; what lies outside of an image is 0."""
    if not len(images):
        return images.new_empty(0, images.shape[1], *size)
    sides = []
    for starts, lengths, dim in ((tops, heights, -2), (lefts, widths, -1)):
        one = (starts.cpu(), lengths.cpu(), images.shape[dim], size[dim])
        own = resampling_net.resampling_weights(*one)
        parts = (each.to(images.device) for each in (own.first, own.weights, own.units))
        sides.append(resampling_net.Weights(*parts))
    return resampling_net.resample(images, *sides)


def _erase(
    images: Tensor, tops: Tensor, lefts: Tensor, heights: Tensor, widths: Tensor, value: int
) -> Tensor:
    there = [each.to(images.device) for each in (tops, lefts, heights, widths)]
    return cropping_net.erase(images, there[0], there[1], there[2], there[3], (value,))


COMPOSED: dict[str, Callable[..., Tensor]] = {
    "gaussian_blur": _gaussian_blur,
    "perspective": _perspective,
    "affine": _affine,
    "rotate": _rotate,
    "crop": _crop,
    "resized_crop": _resized_crop,
    "erase": _erase,
}

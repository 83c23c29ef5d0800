"""The image operations for one image, each a call of torchvision.

What the batched operations of color_net, gaussian_net, cropping_net and geometry_net are compared
with: the same names, the same parameters without the batch, and torchvision's own code, none of
theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision.transforms.v2.functional as tv
from torch import Tensor
from torchvision.transforms import InterpolationMode

Parameter = Any
"""A number, a tensor of one value or of a row of values, a size or a name."""


def reference(name: str, image: Tensor, **parameters: Parameter) -> Tensor:
    """Return one image after the operation ``name``; a new tensor.

    Args:
        name: of an operation in ``OPERATIONS``.
        image: (C, H, W) uint8, C 1 or 3.
        parameters: those of the batched operation by their names there; where it takes (B,) or
            (B, k), row i of them: a number, or a tensor () or (k).

    Raises:
        KeyError: for an unknown operation.
    """
    plain = {key: _plain(value) for key, value in parameters.items()}
    return OPERATIONS[name](image, **plain).clone()


def _plain(value: Parameter) -> Any:
    """Return a parameter as Python's own numbers and lists."""
    return value.tolist() if isinstance(value, Tensor) else value


def _rgb_to_grayscale(image: Tensor) -> Tensor:
    return _call(tv.rgb_to_grayscale, image, num_output_channels=image.shape[0])


def _gaussian_blur(image: Tensor, kernel_size: Sequence[int], sigmas: float) -> Tensor:
    return _call(tv.gaussian_blur, image, list(kernel_size), [sigmas, sigmas])


def _pad(image: Tensor, padding: int | Sequence[int], mode: str, fill: int = 0) -> Tensor:
    borders = [padding] if isinstance(padding, int) else list(padding)
    return _call(tv.pad, image, borders, fill=fill, padding_mode=mode)


def _crop(image: Tensor, tops: int, lefts: int, size: Sequence[int]) -> Tensor:
    return _call(tv.crop, image, tops, lefts, *size)


def _resize(image: Tensor, size: Sequence[int]) -> Tensor:
    return _call(tv.resize, image, list(size), antialias=True)


def _resized_crop(
    image: Tensor, tops: int, lefts: int, heights: int, widths: int, size: Sequence[int]
) -> Tensor:
    return _call(tv.resized_crop, image, tops, lefts, heights, widths, list(size), antialias=True)


def _perspective(
    image: Tensor,
    startpoints: list[list[int]],
    endpoints: list[list[int]],
    interpolation: str,
    fill: int = 0,
) -> Tensor:
    mode = InterpolationMode(interpolation)
    return _call(tv.perspective, image, startpoints, endpoints, interpolation=mode, fill=fill)


def _affine(
    image: Tensor,
    angles: float,
    translations: list[float],
    scales: float,
    shears: list[float],
    interpolation: str,
    fill: int = 0,
) -> Tensor:
    mode = InterpolationMode(interpolation)
    return _call(
        tv.affine, image, angles, translations, scales, shears, interpolation=mode, fill=fill
    )


def _rotate(image: Tensor, angles: float, interpolation: str, fill: int = 0) -> Tensor:
    mode = InterpolationMode(interpolation)
    return _call(tv.rotate, image, angles, interpolation=mode, fill=fill)


def _erase(image: Tensor, tops: int, lefts: int, heights: int, widths: int, value: int) -> Tensor:
    level = torch.tensor(value, dtype=torch.uint8, device=image.device)
    return _call(tv.erase, image, tops, lefts, heights, widths, level)


def _call(function: Callable[..., Any], image: Tensor, *values: Any, **named: Any) -> Tensor:
    """Return what one of torchvision's functions, which have no types, makes of an image."""
    result: Tensor = function(image, *values, **named)
    return result


def _by_factor(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return an operation whose only parameter is called ``factors``."""
    return lambda image, factors: _call(function, image, factors)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "adjust_brightness": _by_factor(tv.adjust_brightness),
    "adjust_contrast": _by_factor(tv.adjust_contrast),
    "adjust_saturation": _by_factor(tv.adjust_saturation),
    "adjust_hue": _by_factor(tv.adjust_hue),
    "adjust_sharpness": _by_factor(tv.adjust_sharpness),
    "rgb_to_grayscale": _rgb_to_grayscale,
    "equalize": tv.equalize,
    "gaussian_blur": _gaussian_blur,
    "horizontal_flip": tv.horizontal_flip,
    "vertical_flip": tv.vertical_flip,
    "pad": _pad,
    "crop": _crop,
    "resize": _resize,
    "resized_crop": _resized_crop,
    "perspective": _perspective,
    "affine": _affine,
    "rotate": _rotate,
    "erase": _erase,
}

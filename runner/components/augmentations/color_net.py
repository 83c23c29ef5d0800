"""Colour operations on batches of uint8 images, each image with its own parameters.

Owns the arithmetic only: drawing parameters, choosing images and the order of operations are the
caller's. What an operation means, and how it rounds, is what torchvision.transforms.v2.functional
does to one uint8 tensor on a CPU with AVX2; the levels are the same without it. No row of a batch
depends on another row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runner.components.augmentations.chunking_net import in_chunks
from runner.components.augmentations.constants_net import positions

GRAY_WEIGHTS = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601, with torchvision's digits."""
EXACT = 1 << 24
"""Whole numbers up to this are exact in float32."""


@in_chunks
def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply each image by its factor; bitwise as torchvision.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3.
        factors: (B,), at least 0; 1 changes nothing.
    """
    return _to_levels(images * _per_image(factors, images))


@in_chunks
def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with the mean of its grays; within 1 level of torchvision.

    The few differences are pixels whose exact value is a whole level: torchvision rounds the last
    pixels of an image (fewer than a vector of the processor) otherwise than the rest.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3.
        factors: (B,), at least 0; 0 is all gray, 1 changes nothing.
    """
    images = images.contiguous()
    gray = _gray(images).floor_() if images.shape[1] == 3 else images
    if len(images) == 1:
        return _blend(images, _mean(gray), factors)
    # An image has 256 levels at most, and its mean is one number: each level is worked out once.
    levels = positions(256, images.device).expand(len(images), 1, 1, -1)
    table = _blend(levels, _mean(gray), factors).flatten(1)
    return table.gather(1, images.flatten(1).long()).view(images.shape)


@in_chunks
def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its grays; bitwise as torchvision. Gray images stay as they are.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3.
        factors: (B,), at least 0; 0 is gray, 1 changes nothing.
    """
    if images.shape[1] == 1:
        return images.clone()
    images = images.contiguous()
    return _blend(images, _gray(images).floor_(), factors)


@in_chunks
def adjust_hue(images: Tensor, factors: Tensor) -> Tensor:
    """Turn the hue of each image; bitwise as torchvision. Gray images stay as they are.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3.
        factors: (B,) in [-0.5, 0.5], the part of a full turn.
    """
    if images.shape[1] == 1:
        return images.clone()
    levels = images.to(torch.float32, memory_format=torch.contiguous_format)
    hue, saturation, value = _hsv(levels.mul_(1 / 255))
    hue.add_(_per_image(factors, images)[:, 0])
    hue.sub_(hue.floor())
    # torchvision's way from [0, 1] to levels: each level has nearly the same share.
    return _rgb(hue, saturation, value).mul_(256 - 1e-3).to(torch.uint8)


@in_chunks
def rgb_to_grayscale(images: Tensor) -> Tensor:
    """Return the grays of each image (B, C, H, W) uint8 in all its channels, as torchvision."""
    if images.shape[1] == 1:
        return images.clone()
    return _gray(images.contiguous()).to(torch.uint8).expand(images.shape).contiguous()


@in_chunks
def equalize(images: Tensor) -> Tensor:
    """Equalise the histogram of each channel of each image (B, C, H, W) uint8, as torchvision."""
    # it takes a second to import: here, and not in every process that trains
    import torchvision.transforms.v2.functional as tv

    # torchvision's own treats every plane by itself, whatever the number of dimensions. It returns
    # an empty batch itself.
    return tv.equalize(images) if images.numel() else images.clone()


@in_chunks
def adjust_sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with a smoothed copy of itself; bitwise as torchvision.

    The border of one pixel stays as it is, and so do images of at most two pixels across.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3.
        factors: (B,), at least 0; 0 is smooth, 1 changes nothing, 2 is sharp.
    """
    if min(images.shape[-2:]) <= 2:
        return images.clone()
    levels = images.to(torch.int16)
    rows = levels[:, :, :-2] + levels[:, :, 1:-1] + levels[:, :, 2:]
    center = levels[:, :, 1:-1, 1:-1]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * center
    # A 13th of a whole number is never half-way between two, so no rounding is in doubt.
    change = total.to(torch.float32).div_(13).round_() - center
    weights = 1 - _per_image(factors, images, torch.float64)
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _to_levels(_multiply_add(center, weights.float(), change))
    return result


def _per_image(factors: Tensor, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return ``factors`` (B,) as (B, 1, 1, 1) beside the images."""
    return factors.to(images.device, dtype).view(-1, 1, 1, 1)


def _to_levels(values: Tensor) -> Tensor:
    """Return float values as uint8, cut off below and above, and rounded down."""
    return values.clamp_(0, 255).to(torch.uint8)


def _rounds_once() -> bool:
    """Return whether ``torch.add(..., alpha=...)`` rounds product and sum as one on this CPU.

    Where it does not, or may not, the operations take a slower way to the same levels.
    """
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def _multiply_add(addend: Tensor, factors: Tensor, values: Tensor) -> Tensor:
    """Return ``addend + factors * values`` of float32 values, rounded once.

    That is how ``torch.add(..., alpha=...)`` rounds on most processors, but its ``alpha`` is one
    number. The product of two float32 values is exact in float64.
    """
    if len(addend) == 1 and addend.device.type == "cpu" and _rounds_once():
        return torch.add(addend, values, alpha=factors.item())
    return (factors.double() * values + addend).float()


def mix(
    images: Tensor,
    parts: Tensor,
    others: Tensor,
    of_mean: Tensor,
    of_gray: Tensor,
    *,
    with_mean: bool,
    with_gray: bool,
) -> Tensor:
    """Return brightness, contrast or saturation of each image changed, in the same kernels.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3.
        parts: (B,) float32: factors of the images; 1 leaves them as they are.
        others: (B,) float64: 1 less these, rounded to float32.
        of_mean: (B,) float32: 1 where the rest is the mean of the grays, else 0.
        of_gray: (B,) bool: where it is the grays. Where it is neither, it is black.
        with_mean: whether it is the mean anywhere.
        with_gray: whether it is the grays anywhere.
    """
    parts, others, of_mean, of_gray = (
        each[:, None, None, None] for each in (parts, others, of_mean, of_gray)
    )
    if images.shape[1] == 1 and with_gray:
        # as torchvision, which does not change the saturation of what has none
        parts, others = parts.masked_fill(of_gray, 1), others.masked_fill(of_gray, 0)
    base = images * parts
    if not with_mean and not with_gray:
        return _to_levels(base)
    gray = _gray(images).floor_() if images.shape[1] == 3 else images
    if with_mean:
        rest = _mean(gray) * of_mean
        rest = torch.where(of_gray, gray, rest) if with_gray else rest
    else:
        rest = gray * of_gray
    return _to_levels(torch.addcmul(base.double(), others, rest).float())


def _mean(gray: Tensor) -> Tensor:
    """Return the mean (B, 1, 1, 1) float32 of whole numbers (B, 1, H, W)."""
    # The sum is exact, so the mean does not depend on the order of summation.
    largest = 255 * math.prod(gray.shape[1:])
    dtype = torch.float32 if largest <= EXACT else torch.float64
    total = gray.sum(dim=(1, 2, 3), keepdim=True, dtype=dtype).float()
    # by a tensor: a GPU would multiply with the reciprocal of a number
    return total / torch.full_like(total, math.prod(gray.shape[1:]))


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """Return factor parts of ``images`` and 1 - factor parts of ``others``, as levels."""
    parts = _per_image(factors, images, torch.float64)
    mixed = _multiply_add(images * parts.float(), (1 - parts).float(), others)
    return _to_levels(mixed)


def _gray(images: Tensor) -> Tensor:
    """Return the luma (B, 1, H, W) float32 of RGB images."""
    red, green, blue = images.unbind(dim=1)
    weights = GRAY_WEIGHTS
    gray = red.mul(weights[0])
    if images.device.type != "cpu" or _rounds_once():
        return gray.add_(green, alpha=weights[1]).add_(blue, alpha=weights[2])[:, None]
    for weight, channel in zip(weights[1:], (green, blue), strict=True):
        gray = _multiply_add(gray, torch.tensor(weight), channel)
    return gray[:, None]


def _hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue, saturation and value, each (B, H, W) in [0, 1], of float RGB images.

    Hexcone model of Smith, "Color gamut transform pairs", SIGGRAPH 1978, as Pillow computes it.
    """
    red, green, blue = images.unbind(dim=1)
    value = torch.maximum(red, green)
    torch.maximum(value, blue, out=value)
    spread = torch.minimum(red, green)
    spread = value - torch.minimum(spread, blue, out=spread)
    is_gray = _is(spread, 0)
    saturation = spread / (value + is_gray)
    # How far each channel is below the highest one, which is itself at 0.
    spread.add_(is_gray)
    from_red, from_green, from_blue = ((value - each).div_(spread) for each in (red, green, blue))
    is_red, is_green = _is(value, red), _is(value, green)
    hue = from_green.add(4).sub_(from_red).mul_(1 - is_green)
    hue.addcmul_(from_red.add(2).sub_(from_blue), is_green).mul_(1 - is_red)
    hue.addcmul_(from_blue.sub_(from_green), is_red).mul_(1 / 6).add_(1)
    return hue.sub_(hue.floor()), saturation, value


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return float RGB images (B, 3, H, W): the inverse of ``_hsv``; ``hue`` is overwritten."""
    sextant = hue.mul_(6).floor()
    part = hue.sub_(sextant).mul_(saturation)
    rest = 1 - saturation
    falling = (1 - part).mul_(value).clamp_(0, 1)
    rising = part.add_(rest).mul_(value).clamp_(0, 1)
    lowest = rest.mul_(value).clamp_(0, 1)
    is_in = [_is(sextant, number) for number in range(6)]
    is_in[0].add_(_is(sextant, 6))
    images = value.new_empty(len(value), 3, *value.shape[1:])
    # Each channel goes through the same curve, a third of a turn after the one before.
    for channel, shift in zip(images.unbind(dim=1), (0, 2, 4), strict=True):
        highest, falls, low, lower, rises, high = (is_in[(n + shift) % 6] for n in range(6))
        torch.mul(value, highest + high, out=channel)
        channel.addcmul_(falling, falls).addcmul_(lowest, low + lower).addcmul_(rising, rises)
    return images


def _is(values: Tensor, other: Tensor | float) -> Tensor:
    """Return 1 where float values are those of another, else 0.

    Sums of products with these choose between finite values exactly; torch's ways of choosing by
    bool are twenty times as slow on a CPU.
    """
    return torch.eq(values, other, out=torch.empty_like(values))

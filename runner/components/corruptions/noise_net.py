"""Noise: of numbers that are drawn beforehand for each value of an image.

Counts of photons follow from one number in [0, 1) by the inverse of Poisson's distribution, so that
how much is drawn does not depend on the image.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from runner.components.augmentations.augmentation import Size
from runner.components.augmentations.draws_net import unit
from runner.components.corruptions.pixels_net import cut_levels, parts

TAIL = 2.0**-44
"""What is left of a distribution at its end: rarer counts are taken as the largest."""

CHANNELS = 3
"""For which numbers are drawn, however many an image has."""


def draw_normal(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return standard normal numbers, one for each value of an image."""
    shape = (count, CHANNELS, *size)
    return {"normal": torch.randn(shape, generator=generator, dtype=torch.float64)}


def draw_uniform(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return numbers in [0, 1), one for each value of an image."""
    return {"uniform": unit(generator, count, CHANNELS, *size)}


def draw_two_uniform(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return two numbers in [0, 1) for each value of an image."""
    both = unit(generator, count, 2, CHANNELS, *size)
    return {"chosen": both[:, 0], "sides": both[:, 1]}


def gaussian_noise(
    images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]
) -> Tensor:
    """Add normal noise."""
    return cut_levels(parts(images) + constants[0] * _like(images, drawn["normal"]))


def speckle_noise(
    images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]
) -> Tensor:
    """Add normal noise that is as strong as the pixel is bright."""
    values = parts(images)
    return cut_levels(values + values * (constants[0] * _like(images, drawn["normal"])))


def impulse_noise(
    images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]
) -> Tensor:
    """Make a share of the values white or black, as often the one as the other."""
    is_changed = _like(images, drawn["chosen"]) <= constants[0]
    is_white = _like(images, drawn["sides"]) <= 0.5
    return torch.where(is_changed, is_white.to(torch.uint8) * 255, images)


def shot_noise(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Count photons, of which a value brings as many as it is bright on average."""
    table = _poisson(constants[0], images.device)
    levels = images.long().contiguous()
    # the rows of the table stand one behind the other, each a whole number higher
    places = levels + _like(images, drawn["uniform"]).contiguous()
    found = torch.searchsorted(table.flatten(), places) - levels * table.shape[1]
    return cut_levels(found.clamp_(0, table.shape[1] - 1) / constants[0])


@functools.lru_cache(maxsize=8)
def _poisson(photons: float, device: torch.device) -> Tensor:
    """Return level + the share of counts up to n, (256, counts), ascending, for each level."""
    rates = torch.arange(256, dtype=torch.float64)[:, None] / 255 * photons
    counts = torch.arange(int(photons + 12 * photons**0.5 + 20), dtype=torch.float64)
    logs = torch.xlogy(counts, rates) - rates - torch.lgamma(counts + 1)
    shares = logs.exp().cumsum(1).clamp_(max=1 - TAIL)
    return (shares + torch.arange(256, dtype=torch.float64)[:, None]).to(device)


def _like(images: Tensor, numbers: Tensor) -> Tensor:
    """Return the numbers of the channels that images have."""
    return numbers[:, : images.shape[1]]

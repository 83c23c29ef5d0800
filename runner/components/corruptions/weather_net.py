"""Weather: snow, frost, fog and brightness.

Layers of snow, frost and fog follow from the draws alone, and are worked out on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from runner.components.augmentations.augmentation import Size
from runner.components.augmentations.draws_net import unit
from runner.components.corruptions.pixels_net import (
    colour,
    cut_levels,
    fractal,
    of_gray,
    parts,
    streak_offsets,
    streaked,
    zoomed,
)

SNOW_ANGLES = (-135.0, -45.0)
"""Degrees."""

FROST = (214, 235, 255)
"""Levels of white frost, a little blue."""

FROST_DECAY = 1.7
"""How fast the fractals of frost smooth out."""


def draw_flakes(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return standard normal numbers, one for each pixel, and one in [0, 1) for the angle."""
    normal = torch.randn((count, *size), generator=generator, dtype=torch.float64)
    return {"normal": normal, "angle": unit(generator, count)}


def draw_fractal(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return numbers in [0, 1), one for each pixel."""
    return {"numbers": unit(generator, count, *size)}


def draw_two_fractals(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return two numbers in [0, 1) for each pixel."""
    return {"numbers": unit(generator, count, 2, *size)}


def snow_layer(drawn: Mapping[str, Tensor], constants: Sequence[float]) -> dict[str, Tensor]:
    """Return what falls, (B, 1, H, W) from 0 to 1: noise, made larger, cut off and drawn out."""
    mean, deviation, factor, threshold, radius, sigma = constants[:6]
    flakes = zoomed(mean + deviation * drawn["normal"], factor)
    flakes = flakes * (flakes >= threshold)
    angles = SNOW_ANGLES[0] + (SNOW_ANGLES[1] - SNOW_ANGLES[0]) * drawn["angle"]
    levels = cut_levels(flakes)[:, None].double()
    return {"layer": streaked(levels, streak_offsets(angles, radius), sigma) / 255}


def snow(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Whiten the image, and add the layer twice, the second time turned by half a turn."""
    values, layer, share = parts(images), drawn["layer"], constants[6]
    white = torch.maximum(values, of_gray(values) * 1.5 + 0.5)
    return cut_levels(share * values + (1 - share) * white + layer + layer.flip(-2, -1))


def frost_layer(drawn: Mapping[str, Tensor], constants: Sequence[float]) -> dict[str, Tensor]:
    """Return frost of ours, (B, 1, H, W) from 0 to 1: the crests of two fractals.

    The authors lay parts of photographs over the image.
    """
    both = drawn["numbers"]
    crests = [1 - (2 * fractal(both[:, each], FROST_DECAY) - 1).abs() for each in (0, 1)]
    return {"layer": torch.maximum(crests[0] ** 2, crests[1] ** 2)[:, None]}


def frost(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Add frost to the image; both with their published shares."""
    values = parts(images)
    return cut_levels(constants[0] * values + constants[1] * drawn["layer"] * colour(FROST, values))


def fog_layer(drawn: Mapping[str, Tensor], constants: Sequence[float]) -> dict[str, Tensor]:
    """Return fog, (B, 1, H, W), from 0 to how thick it is."""
    return {"layer": constants[0] * fractal(drawn["numbers"], constants[1])[:, None]}


def fog(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Add fog, and keep the image's brightest value about as bright as it was."""
    values = parts(images)
    brightest = values.amax((1, 2, 3), keepdim=True)
    return cut_levels((values + drawn["layer"]) * brightest / (brightest + constants[0]))


def brightness(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Add to the value (HSV): hue and saturation stay, and black becomes gray."""
    values = parts(images)
    value = values.amax(1, keepdim=True)
    brighter = (value + constants[0]).clamp(max=1)
    ratio = torch.where(value > 0, brighter / value, 0.0)
    return cut_levels(torch.where(value > 0, values * ratio, brighter))

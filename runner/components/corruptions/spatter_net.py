"""Spatter: drops of water or mud on the lens.

The layer follows from the draws alone, by steps that OpenCV has: edges by Canny's method, distances
from them, an equalised histogram. They are worked out on the CPU, in whole levels as there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from runner.components.augmentations.augmentation import Size
from runner.components.corruptions.pixels_net import (
    EDGE,
    colour,
    correlate,
    cut_levels,
    folded,
    gaussian_blur,
    parts,
    rounded,
)

WATER = (175, 238, 238)
MUD = (63, 42, 20)
LEAST_MUD = 0.8

LOW, HIGH = 50, 150
"""Thresholds of edges."""

TANGENT = 13573 / (1 << 15)
"""Of 22.5°."""

FARTHEST = 20
"""Pixels from an edge; what is farther counts as that."""

UNIT = 1 << 16
STEPS = {(0, 1): UNIT, (1, 1): 91750, (1, 2): 143976}
"""Lengths of moves by rows and columns: 1, 1.4 and 2.1969 pixels."""

EMBOSS = torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]], dtype=torch.float64)
BOX = torch.full((3, 3), 1 / 9, dtype=torch.float64)


def draw_liquid(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    """Return standard normal numbers, one for each pixel."""
    return {"normal": torch.randn((count, *size), generator=generator, dtype=torch.float64)}


def liquid_layer(drawn: Mapping[str, Tensor], constants: Sequence[float]) -> dict[str, Tensor]:
    """Return how much liquid there is, (B, 1, H, W) from 0 to 1."""
    mean, deviation, sigma, threshold, strength, is_mud = constants
    liquid = gaussian_blur(mean + deviation * drawn["normal"], sigma)
    liquid = liquid * (liquid >= threshold)
    if is_mud:
        layer = gaussian_blur((liquid > threshold).double(), strength)
        return {"layer": (layer * (layer >= LEAST_MUD))[:, None]}
    layer = _drops((liquid.clamp(0, 1) * 255 + EDGE).floor())
    largest = layer.amax((1, 2), keepdim=True)
    layer = strength * layer / torch.where(largest > 0, largest, 1.0)
    return {"layer": layer[:, None]}


def spatter(images: Tensor, drawn: Mapping[str, Tensor], constants: Sequence[float]) -> Tensor:
    """Add pale water, or lay brown mud over the image."""
    values, layer = parts(images), drawn["layer"]
    if constants[5]:
        return cut_levels(values * (1 - layer) + layer * colour(MUD, values))
    return cut_levels(values + layer * colour(WATER, values))


def _drops(liquid: Tensor) -> Tensor:
    """Return the light on drops, any positive numbers (B, H, W), of whole levels of liquid."""
    near = distances(edges(liquid)).clamp(max=FARTHEST)
    near = equalised((correlate(near, BOX) + EDGE).floor())
    light = correlate(near, EMBOSS).clamp(0, 255)
    return liquid * rounded(correlate(light, BOX))


def edges(levels: Tensor) -> Tensor:
    """Return edges by Canny's method, (B, H, W) bool, of whole levels."""
    height, width = levels.shape[-2:]
    rows = folded(torch.arange(-1, height + 1), height, "edge")
    columns = folded(torch.arange(-1, width + 1), width, "edge")
    around = levels[:, rows][:, :, columns]
    smooth_down = around[:, :-2] + 2 * around[:, 1:-1] + around[:, 2:]
    smooth_across = around[:, :, :-2] + 2 * around[:, :, 1:-1] + around[:, :, 2:]
    across = smooth_down[:, :, 2:] - smooth_down[:, :, :-2]
    down = smooth_across[:, 2:] - smooth_across[:, :-2]
    size = across.abs() + down.abs()
    framed = functional.pad(size, (1, 1, 1, 1))

    def beside(row: int, column: int) -> Tensor:
        return framed[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    flat = down.abs() < across.abs() * TANGENT
    steep = down.abs() > across.abs() * (TANGENT + 2)
    rising = (across < 0) ^ (down < 0)
    is_crest = torch.where(rising, _above(size, beside(-1, 1), beside(1, -1)), False)
    is_crest |= ~rising & _above(size, beside(-1, -1), beside(1, 1))
    is_crest = torch.where(steep, (size > beside(-1, 0)) & (size >= beside(1, 0)), is_crest)
    is_crest = torch.where(flat, (size > beside(0, -1)) & (size >= beside(0, 1)), is_crest)
    weak = is_crest & (size > LOW)
    found = weak & (size > HIGH)
    while True:  # edges go on along what is weak
        more = functional.max_pool2d(found.float()[:, None], 3, 1, 1)[:, 0].bool() & weak
        if torch.equal(more, found):
            return found
        found = more


def _above(size: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return (size > one) & (size > other)


def distances(is_edge: Tensor) -> Tensor:
    """Return how far pixels are from the next edge, along moves of 1, 1.4 and 2.1969 pixels.

    What is farther than ``FARTHEST`` is at least that.
    """
    height, width = is_edge.shape[-2:]
    far = float(UNIT * (FARTHEST + 1))
    found = torch.where(is_edge, 0.0, far).double()
    while True:
        framed = functional.pad(found, (2, 2, 2, 2), value=far)
        nearer = found
        for row in range(-2, 3):
            for column in range(-2, 3):
                move = tuple(sorted((abs(row), abs(column))))
                length = STEPS.get((move[0], move[1]))
                if length is not None:
                    moved = framed[:, 2 + row : 2 + row + height, 2 + column : 2 + column + width]
                    nearer = torch.minimum(nearer, moved + length)
        if torch.equal(nearer, found):
            return found / UNIT
        found = nearer


def equalised(levels: Tensor) -> Tensor:
    """Return whole levels (B, H, W) with their histogram equalised."""
    flat = levels.flatten(1).long()
    counts = torch.zeros(len(flat), 256, dtype=torch.int64)
    counts.scatter_add_(1, flat, torch.ones_like(flat))
    lowest = flat.amin(1, keepdim=True)
    behind = flat.shape[1] - counts.gather(1, lowest)
    below = counts.cumsum(1) - counts.gather(1, lowest)
    table = torch.round(255 * below / behind.clamp(min=1)).clamp_(0, 255)
    table = torch.where(behind == 0, lowest.double(), table)  # one level alone stays
    return table.gather(1, flat).view(levels.shape)

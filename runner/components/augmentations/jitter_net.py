"""Jitter of colours: up to four adjustments of each image, in an order of its own.

Owns the order. On a CPU, images that have the same adjustment at the same turn are worked on
together. On a GPU every image goes through the same few kernels: brightness, contrast and
saturation are one mixture with something else, of which there is a pass for each of them before the
hue and after it, and the hue has a pass in the middle; a factor of 1 leaves an image as it is. The
levels are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from runner.components.augmentations import color_net
from runner.components.augmentations.rows_net import in_groups

ADJUSTMENTS = {
    "brightness": color_net.adjust_brightness,
    "contrast": color_net.adjust_contrast,
    "saturation": color_net.adjust_saturation,
    "hue": color_net.adjust_hue,
}
MIXED = ("parts", "others", "of_mean", "of_gray")


def order_among(order: Tensor, columns: Sequence[int]) -> Tensor:
    """Return the order of some of the adjustments within the order of all.

    Args:
        order: (B, 4) int64, permutations.
        columns: the adjustments that there are, n of them.

    Returns:
        (B, n) int64, permutations of range(n).
    """
    return order.argsort(dim=1)[:, list(columns)].argsort(dim=1)


def jitter(images: Tensor, order: Tensor, factors: Mapping[str, Tensor]) -> Tensor:
    """Return the images (B, C, H, W) uint8 on the CPU, adjusted one after the other.

    Args:
        images: not changed.
        order: (B, n) int64: places in ``factors``.
        factors: (B,) each, n of them, by the name of the adjustment.
    """

    def adjust(name: str, part: Tensor, rows: Tensor) -> Tensor:
        return ADJUSTMENTS[name](part, factors[name][rows])

    changes = [functools.partial(adjust, name) for name in factors]
    if list(factors) != ["brightness"]:
        # the others want each channel by itself: once, and not at every turn
        images = images.contiguous()
    for turn in range(order.shape[1]):
        images = in_groups(images, order[:, turn], changes)
    return images


def passes(order: Tensor, factors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what each pass of :func:`jitter_in_passes` does to each image.

    Args:
        order: (B, n) int64 on the CPU: places in ``factors``.
        factors: (B,) float64 each, n of them, by the name of the adjustment.

    Returns:
        On the CPU, P being the passes of mixtures: ``parts`` (B, P) float32 of the image and
        ``others`` (B, P) float64 of the gray or the mean; ``of_mean`` (B, P) float32, 1 where it is
        the mean; ``of_gray`` (B, P) bool; and ``hue`` (B,) float32.
    """
    names = list(factors)
    mixed = [name for name in names if name != "hue"]
    # where in the order each mixture and the hue come, and how many mixtures come before the hue
    places = order.argsort(dim=1)
    slots = places[:, [names.index(name) for name in mixed]]
    has_hue = "hue" in factors
    if has_hue:
        hue = places[:, names.index("hue"), None]
        # the place of the hue itself is left out behind it
        slots = torch.where(slots < hue, slots, slots - 1 + len(mixed))
    number = len(mixed) * (1 + has_hue)
    shape = (len(order), number)
    drawn = {
        "parts": torch.ones(shape, dtype=torch.float64),
        "of_mean": torch.zeros(shape),
        "of_gray": torch.zeros(shape, dtype=torch.bool),
    }
    for column, name in enumerate(mixed):
        slot = slots[:, column, None]
        drawn["parts"].scatter_(1, slot, factors[name].double()[:, None])
        if name == "contrast":
            drawn["of_mean"].scatter_(1, slot, 1.0)
        elif name == "saturation":
            drawn["of_gray"].scatter_(1, slot, True)
    drawn["others"] = (1 - drawn["parts"]).float().double()
    drawn["parts"] = drawn["parts"].float()
    return {**drawn, "hue": factors["hue"].float()} if has_hue else drawn


def jitter_in_passes(images: Tensor, names: Sequence[str], drawn: Mapping[str, Tensor]) -> Tensor:
    """Return the images (B, C, H, W) uint8 on any device, adjusted in equal passes over all.

    Args:
        images: not changed.
        names: of the adjustments.
        drawn: from :func:`passes`, on the device of the images.
    """
    number = drawn["parts"].shape[1]
    middle = number // 2 if "hue" in names else number
    for index in range(number + 1):
        if index == middle and "hue" in names:
            images = color_net.adjust_hue(images, drawn["hue"])
        if index < number:
            images = color_net.mix(
                images,
                **{name: drawn[name][:, index] for name in MIXED},
                with_mean="contrast" in names,
                with_gray="saturation" in names,
            )
    return images

"""The constants of the corruptions at each severity, as published for images of 32×32 pixels.

Of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, from their program for CIFAR-10-C (`make_cifar_c.py` in
github.com/hendrycks/robustness). What they mean is said beside each; what is done with them is in
the ``*_net`` modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

CorruptionKind = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
    "speckle_noise",
    "gaussian_blur",
    "spatter",
    "saturate",
]
KINDS: tuple[CorruptionKind, ...] = get_args(CorruptionKind)
"""The fifteen of the benchmark, then the four that the authors kept for validation."""

STANDARD_KINDS = KINDS[:15]
"""Over which the mean corruption error is taken."""

DRAWN = frozenset(KINDS) - {
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
}
"""Those that are drawn; the others make the same of an image each time."""

SIDE = 32
"""Pixels of a side of the images that the constants are for."""

SEVERITIES = 5

Numbers = Sequence[float]

CONSTANTS: Mapping[str, Sequence[Numbers]] = {
    # standard deviation, with pixels from 0 to 1
    "gaussian_noise": [(0.04,), (0.06,), (0.08,), (0.09,), (0.10,)],
    # photons that white stands for
    "shot_noise": [(500,), (250,), (100,), (75,), (50,)],
    # share of values that become black or white
    "impulse_noise": [(0.01,), (0.02,), (0.03,), (0.05,), (0.07,)],
    # radius of the disk, standard deviation of the blur of its edge
    "defocus_blur": [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
    # standard deviation of the blur, passes over the pixels
    "glass_blur": [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)],
    # radius and standard deviation of the streak
    "motion_blur": [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
    # end of the zooms that are averaged, from 1 in steps of 0.01; the end itself is left out
    # where rounding does not let it in
    "zoom_blur": [(1.06,), (1.11,), (1.16,), (1.21,), (1.26,)],
    # mean and deviation of the flakes, their zoom, threshold, radius and deviation of the streak,
    # share of the image
    "snow": [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ],
    # share of the image, share of the frost
    "frost": [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
    # how thick, how fast the fractal smooths out
    "fog": [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
    # added to the value (HSV)
    "brightness": [(0.05,), (0.1,), (0.15,), (0.2,), (0.3,)],
    # what differences from the mean are multiplied with
    "contrast": [(0.75,), (0.5,), (0.4,), (0.3,), (0.15,)],
    # in parts of a side: how far pixels move, how smooth that is, how far corners move
    "elastic_transform": [
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ],
    # part of a side that is left
    "pixelate": [(0.95,), (0.9,), (0.85,), (0.75,), (0.65,)],
    # quality
    "jpeg_compression": [(80,), (65,), (58,), (50,), (40,)],
    # standard deviation, in parts of the pixel
    "speckle_noise": [(0.06,), (0.1,), (0.12,), (0.16,), (0.2,)],
    # standard deviation
    "gaussian_blur": [(0.4,), (0.6,), (0.7,), (0.8,), (1,)],
    # mean and deviation of the liquid, its blur and threshold, strength of water or blur of mud,
    # whether it is mud
    "spatter": [
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ],
    # saturation (HSV): what it is multiplied with, what is added
    "saturate": [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)],
}

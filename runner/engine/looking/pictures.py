"""Arrays that can be shown, made of weights and gradients: values from 0 to 1, (H, W) or (H, W, C).

Owns how they are scaled. What is laid side by side is scaled alike, so that it can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

GRAY_SHARE = 99.0
"""Of the pixels of a gray picture, in percent, are below white."""


def saliency_pictures(gradient: Floats) -> Mapping[str, Floats]:
    """Return the pictures of a gradient (C, H, W) that are usually shown.

    Returns:
        ``color`` (H, W, C): smallest value black, largest white, a gradient of 0 all over gray.
        ``gray`` (H, W): the sum of the magnitudes over the channels, the upper hundredth white.
        ``positive`` and ``negative`` (H, W, C): values of one sign, the largest white.
    """
    values = np.ascontiguousarray(gradient.transpose(1, 2, 0), dtype=np.float32)
    magnitudes = np.abs(values).sum(2)
    low, high = magnitudes.min(), np.percentile(magnitudes, GRAY_SHARE)
    return {
        "color": stretched([values])[0],
        "gray": np.clip(_divided(magnitudes - low, high - low), 0, 1),
        "positive": _divided(np.maximum(values, 0), values.max()),
        "negative": _divided(np.maximum(-values, 0), -values.min()),
    }


def _divided(values: Floats, by: np.floating) -> Floats:
    """Return values over one above 0, else zeros."""
    return (values / by).astype(np.float32) if by > 0 else np.zeros_like(values)


def stretched(pictures: Sequence[Floats]) -> list[Floats]:
    """Return pictures under one scale: the smallest value of all is 0, the largest is 1.

    Where all values are the same, they become 0.5.
    """
    low = min(float(each.min()) for each in pictures)
    high = max(float(each.max()) for each in pictures)
    if not high > low:
        return [np.full_like(each, 0.5) for each in pictures]
    return [((each - low) / (high - low)).astype(np.float32) for each in pictures]


def centred(pictures: Sequence[Floats]) -> list[Floats]:
    """Return pictures under one scale in which 0 is 0.5, so that signs can be told apart."""
    most = max(float(np.abs(each).max()) for each in pictures)
    if most == 0:
        return [np.full_like(each, 0.5) for each in pictures]
    return [(0.5 + each / (2 * most)).astype(np.float32) for each in pictures]

"""Arrays that can be shown, made of weights and gradients: values from 0 to 1, (H, W) or (H, W, C).

Owns how they are scaled. What is laid side by side is scaled alike, so that it can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHOWN_SHARE = 99.5
"""Of the values of a gradient, in percent, are shown as they are; larger ones are cut: a few pixels
would else leave all others dark."""

GRAY_SHARE = 99.0
"""The same of a gray picture."""


def saliency_pictures(gradient: Floats) -> Mapping[str, Floats]:
    """Return the pictures of a gradient (C, H, W) that are usually shown.

    Returns:
        ``color`` (H, W, C): a gradient of 0 is 0.5, below it is darker, above it brighter.
        ``gray`` (H, W): the sum of the magnitudes over the channels.
        ``positive`` and ``negative`` (H, W, C): the values of one sign, under the scale of the
            colour picture.
    """
    values = np.ascontiguousarray(gradient.transpose(1, 2, 0), dtype=np.float32)
    scaled = _divided(values, _upper(np.abs(values), SHOWN_SHARE))
    magnitudes = np.abs(values).sum(2)
    return {
        "color": np.clip(0.5 + scaled / 2, 0, 1),
        "gray": np.clip(_divided(magnitudes, _upper(magnitudes, GRAY_SHARE)), 0, 1),
        "positive": np.clip(scaled, 0, 1),
        "negative": np.clip(-scaled, 0, 1),
    }


def _upper(values: Floats, share: float) -> float:
    """Return below what this share of some values above 0 lies; the largest of very few."""
    within = float(np.percentile(values, share))
    return within if within > 0 else float(values.max())


def _divided(values: Floats, by: float) -> Floats:
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

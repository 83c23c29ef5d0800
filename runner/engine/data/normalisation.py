"""Pixels to what a network takes: floats less the mean, over the standard deviation.

Works on rows, the pixels of one image one behind the other (H·W·C), with mean and deviation as one
such row: the same numbers as with one of each for a channel, in a quarter of the time. Knows
neither splits nor batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Normalisation:
    """Mean and standard deviation of a data set's channels."""

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], channels: int, device: torch.device
    ) -> None:
        """Take mean and standard deviation of pixels in [0, 1].

        Args:
            mean: one for each channel, or one for all.
            std: likewise.
            channels: of an image.
            device: of the images.
        """
        assert {len(mean), len(std)} <= {1, channels}, "normalisation of other channels"
        self._mean = (torch.tensor(mean, device=device) * 255).expand(channels)
        self._std = (torch.tensor(std, device=device) * 255).expand(channels)
        self._rows: dict[int, tuple[Tensor, Tensor]] = {}

    def rows(self, levels: Tensor) -> Tensor:
        """Return rows (B, H·W·C) uint8 as normalised float32."""
        mean, std = self._row(levels.shape[1])
        return levels.to(torch.float32).sub_(mean).div_(std)

    def images(self, levels: Tensor) -> Tensor:
        """Return images (B, C, H, W) uint8, channels-last, as normalised float32, likewise."""
        rows = self.rows(levels.permute(0, 2, 3, 1).reshape(len(levels), -1))
        return rows.as_strided(levels.shape, levels.stride())

    def _row(self, width: int) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of a row of that width, made once."""
        if width not in self._rows:
            pixels = width // len(self._mean)
            with torch.inference_mode(mode=False):  # used in training also when first in evaluation
                self._rows[width] = (self._mean.repeat(pixels), self._std.repeat(pixels))
        return self._rows[width]

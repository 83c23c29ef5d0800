"""Prepared images as tensors: splits, and batches gathered without worker processes.

Reads the pixel cache by memory mapping; batches are uint8 until they are on the device, where they
become floats and are normalised.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from runner.components.data.dataset import DatasetSettings, Split
from runner.components.data.splitting import split_images
from runner.core.keys import keyed_seed

ON_DEVICE_BYTES = 8 << 30
"""Pixels of at most this size, and a quarter of the GPU, are kept on a GPU whole."""

EVALUATION_VALUES = 1 << 23
"""Input values of an evaluation batch: a constant, so that results do not depend on free memory."""


class Images:
    """The images of one data set, ready for a model.

    Attributes:
        classes: class names.
        shape: channels, height, width of one image.
        digest: of all pixels.
    """

    def __init__(self, folder: Path, settings: DatasetSettings, device: torch.device) -> None:
        index = json.loads((folder / "index.json").read_text())
        self.classes: tuple[str, ...] = tuple(index["classes"])
        self.digest = str(index["digest"])
        mapped = np.load(folder / "pixels.npy", mmap_mode="c")
        self._pixels = torch.from_numpy(mapped)
        self._labels = torch.tensor(index["labels"], dtype=torch.int64, device=device)
        self._official = index["splits"]
        self._label_list: list[int] = index["labels"]
        self._settings = settings
        self._device = device
        height, width, channels = self._pixels.shape[1:]
        self.shape: tuple[int, int, int] = (channels, height, width)
        if device.type == "cuda" and self._pixels.numel() <= _room(device):
            self._pixels = self._pixels.to(device)
        mean, std = settings.normalization()
        view = (1, -1, 1, 1)
        self._mean = torch.tensor(mean, device=device).view(view) * 255
        self._std = torch.tensor(std, device=device).view(view) * 255

    @cached_property
    def splits(self) -> dict[Split, Tensor]:
        """Image indices of each split, int64 on the CPU."""
        settings = self._settings
        found = split_images(
            self._label_list,
            self.classes,
            self._official,
            settings.validation,
            settings.test_share() or 0.0,
            settings.split_seed,
        )
        return {name: torch.tensor(indices, dtype=torch.int64) for name, indices in found.items()}

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch: (B, C, H, W) float32 channels-last, and labels (B,) int64.

        Args:
            indices: (B,) int64, on any device.
        """
        there = indices.to(self._pixels.device, non_blocking=True)
        pixels = self._pixels[there].to(self._device, non_blocking=True)
        images = pixels.permute(0, 3, 1, 2).to(torch.float32)
        images = images.sub_(self._mean).div_(self._std)
        return images, self._labels[indices.to(self._device, non_blocking=True)]

    def training_batches(
        self, seed: int, epoch: int, batch_size: int, drop_last: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch in its keyed order; see :meth:`gather`."""
        train = self.splits["train"]
        generator = torch.Generator().manual_seed(keyed_seed(seed, "order", epoch))
        order = train[torch.randperm(len(train), generator=generator)].to(self._pixels.device)
        for step in range(self.num_steps(batch_size, drop_last)):
            yield self.gather(order[step * batch_size : (step + 1) * batch_size])

    def num_steps(self, batch_size: int, drop_last: bool) -> int:
        """Return the steps of an epoch."""
        batches = len(self.splits["train"]) / batch_size
        return math.floor(batches) if drop_last else math.ceil(batches)

    def evaluation_batches(self, split: Split) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images of a split in order, in batches of constant size."""
        size = evaluation_batch_size(self.shape)
        for indices in torch.split(self.splits[split], size):
            yield self.gather(indices)


def _room(device: torch.device) -> int:
    """Return how many bytes of pixels may be kept on a GPU."""
    total = int(torch.cuda.get_device_properties(device).total_memory)
    return min(ON_DEVICE_BYTES, total // 4)


def evaluation_batch_size(shape: tuple[int, int, int]) -> int:
    """Return the batch size of evaluations: a power of two in [32, 1024] by image size alone."""
    fitting = max(1, EVALUATION_VALUES // math.prod(shape))
    return min(1024, max(32, 1 << (fitting.bit_length() - 1)))

"""Samples as tensors: splits, and batches gathered without worker processes.

Reads the pixel cache by memory mapping; batches of images are uint8 until they are on the device,
where they become floats and are normalised. Small data is kept as normalised floats.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.artifacts.folder import INDEX
from runner.components.augmentations.draws_net import unit, up_to
from runner.components.augmentations.pipeline import Pipeline
from runner.components.data.dataset import DatasetSettings
from runner.components.data.splitting import Split
from runner.components.settings import Sampling
from runner.core.keys import keyed_seed
from runner.engine.arithmetic import in_format
from runner.engine.data.arrays import map_array
from runner.engine.data.augment import Augmenter
from runner.engine.data.normalisation import Normalisation
from runner.engine.data.prefetch import picked_rows

ON_DEVICE_BYTES = 8 << 30
"""Pixels of at most this size, and a quarter of the GPU, are kept on a GPU whole."""

FLOAT_BYTES = 1 << 27
"""Images that are at most this size as floats are normalised once, not in every batch."""

EVALUATION_VALUES = {"cuda": 1 << 26}
"""Input values of an evaluation batch by kind of device, where it takes more than others."""

EVALUATION_VALUES_ELSEWHERE = 1 << 23
"""Constants, both, so that results do not depend on free memory."""


class Samples(ABC):
    """The labels, splits and batch order of a data set; what a batch holds is for subclasses.

    Attributes:
        classes: class names.
        shape: of one sample, without the batch.
        digest: of all samples.
        home: the device that holds the samples.
        memory_format: of batches of images or maps.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    digest: str
    home: torch.device
    memory_format: torch.memory_format = torch.channels_last

    def __init__(
        self, index: Mapping[str, Any], settings: DatasetSettings, device: torch.device
    ) -> None:
        self.classes = tuple(index["classes"])
        self.index = index
        self.settings = settings
        self.device = device
        self._labels = torch.tensor(index["labels"], dtype=torch.int64, device=device)
        self._residents: dict[Split, tuple[Tensor, Tensor]] = {}

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch of samples on the device, and labels (B,) int64.

        Args:
            indices: (B,) int64, on any device.
        """
        return self.inputs(indices), self.labels_at(indices)

    def labels_at(self, indices: Tensor) -> Tensor:
        """Return the labels of samples (B,) int64, on the device."""
        return self._labels.index_select(0, indices.to(self.device, non_blocking=True))

    def inputs(self, indices: Tensor) -> Tensor:
        """Return the samples at ``indices`` (B,), float32 on the device."""
        rows = self.stored(False).index_select(0, indices.to(self.home, non_blocking=True))
        return self.from_rows(rows.to(self.device, non_blocking=True))

    @abstractmethod
    def stored(self, augment: bool) -> Tensor:
        """Return all samples as rows (N, W) as they are kept, to be augmented or not, at home."""

    @abstractmethod
    def from_rows(self, rows: Tensor) -> Tensor:
        """Return stored rows, on the device, as `inputs`."""

    @abstractmethod
    def augmented(self, rows: Tensor, augmenter: Augmenter, epoch: int, step: int) -> Tensor:
        """Return what a step of training sees of stored rows, on the device, as `inputs`."""

    def drawn(
        self, indices: Iterable[Tensor], augmenter: Augmenter, epoch: int, first: int = 1
    ) -> Iterable[Tensor]:
        """Return which rows steps of an augmented epoch pick, from the first, for samples (B,)."""
        return indices

    @cached_property
    def splits(self) -> dict[Split, Tensor]:
        """Indices of each split, int64 on the CPU."""
        index, groups = self.index, self.index.get("groups", ())
        found = self.settings.split(index["labels"], self.classes, index["splits"], groups)
        return {name: torch.tensor(indices, dtype=torch.int64) for name, indices in found.items()}

    def labels(self, split: Split) -> NDArray[np.int64]:
        """Return the labels of a split in its order, (N,)."""
        every: NDArray[np.int64] = np.asarray(self.index["labels"], dtype=np.int64)
        found: NDArray[np.int64] = every[self.splits[split].numpy()]
        return found

    def class_counts(self, outputs: int) -> tuple[int, ...]:
        """Return the training images of each class that a network tells apart."""
        return tuple(np.bincount(self.labels("train"), minlength=outputs).tolist())

    @property
    def trained(self) -> Samples:
        """What a step of training sees samples of."""
        return self

    def trains_as(self, other: Samples) -> bool:
        """Return whether batches of training are those of other samples, all else being equal."""
        mine, theirs = self.trained, other.trained
        if mine is theirs:
            return True
        return (
            (type(mine), mine.digest, mine.memory_format)
            == (type(theirs), theirs.digest, theirs.memory_format)
            and mine.settings.normalization() == theirs.settings.normalization()
            and torch.equal(mine._labels, theirs._labels)
            and torch.equal(mine.splits["train"], theirs.splits["train"])
        )

    def training_batches(
        self,
        seed: int,
        epoch: int,
        batch_size: int,
        drop_last: bool,
        augment: Pipeline | None = None,
        sampling: Sampling = "shuffled",
        first: int = 1,
    ) -> Generator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch in its keyed order, augmented; see :meth:`gather`.

        Those before step ``first``, from 1, are left out.
        """
        order = self.order(seed, epoch, sampling)
        steps = self.num_steps(batch_size, drop_last)
        every = torch.split(order.to(self.home), batch_size)
        parts: Iterable[Tensor] = every[first - 1 : steps]
        labels = torch.split(self.labels_at(order), batch_size)
        mean, _ = self.settings.normalization()
        augmenter = None if augment is None else Augmenter(augment, seed, mean)
        if augmenter is not None:
            parts = self.drawn(parts, augmenter, epoch, first)
        picked = picked_rows(self.stored(augment is not None), parts, self.device)
        with closing(picked) as batches:
            for step, rows in enumerate(batches, start=first):
                if augmenter is None:
                    inputs = self.from_rows(rows)
                else:
                    inputs = self.augmented(rows, augmenter, epoch, step)
                yield inputs, labels[step - 1]

    def order(self, seed: int, epoch: int, sampling: Sampling) -> Tensor:
        """Return the indices of an epoch in its keyed order, on the CPU."""
        if sampling == "balanced":
            return self._drawn(seed, epoch)
        train = self.splits["train"]
        generator = torch.Generator().manual_seed(keyed_seed(seed, "order", epoch))
        return train.index_select(0, torch.randperm(len(train), generator=generator))

    def _drawn(self, seed: int, epoch: int) -> Tensor:
        """Return as many indices as there are training images, drawn evenly over the classes.

        Each is drawn by itself: a class that has training images, then an image of it. Keyed, on
        the CPU, by uniform numbers of 53 bits, so that every machine draws the same.
        """
        train = self.splits["train"]
        generator = torch.Generator().manual_seed(keyed_seed(seed, "balanced order", epoch))
        drawn = unit(generator, len(train), 2)
        labels = torch.from_numpy(self.labels("train"))
        by_class = train.index_select(0, torch.argsort(labels, stable=True))
        sizes = torch.bincount(labels)
        sizes = sizes[sizes > 0]
        chosen = up_to(drawn[:, 0], len(sizes) - 1)
        places = up_to(drawn[:, 1], sizes[chosen] - 1)
        return by_class.index_select(0, (sizes.cumsum(0) - sizes)[chosen] + places)

    def num_steps(self, batch_size: int, drop_last: bool) -> int:
        """Return the steps of an epoch."""
        batches = len(self.splits["train"]) / batch_size
        return math.floor(batches) if drop_last else math.ceil(batches)

    def evaluation_batches(self, split: Split) -> Generator[tuple[Tensor, Tensor]]:
        """Yield the samples of a split in order, in batches of constant size."""
        indices, labels = self._resident(split)
        size = evaluation_batch_size(self.shape, self.device)
        picked = picked_rows(self.stored(False), torch.split(indices, size), self.device)
        with closing(picked) as batches:
            for rows, their in zip(batches, torch.split(labels, size), strict=True):
                yield self.from_rows(rows), their

    def _resident(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return the indices of a split where the samples are, and its labels on the device."""
        if split not in self._residents:
            indices = self.splits[split]
            with torch.inference_mode(mode=False):
                self._residents[split] = (indices.to(self.home), self.labels_at(indices))
        return self._residents[split]


class Images(Samples):
    """Prepared images: batches are (B, C, H, W) float32, normalised, in their memory format.

    Attributes:
        shape: channels, height, width of one image.
    """

    shape: tuple[int, int, int]

    def __init__(self, folder: Path, settings: DatasetSettings, device: torch.device) -> None:
        index = json.loads((folder / INDEX).read_text())
        super().__init__(index, settings, device)
        self.digest = str(index["digest"])
        self._pixels = on_device(torch.from_numpy(map_array(folder / "pixels.npy")), device)
        self.home = self._pixels.device
        height, width, channels = self._pixels.shape[1:]
        self.shape = (channels, height, width)
        self._normalised = Normalisation(*settings.normalization(), channels, device)

    def stored(self, augment: bool) -> Tensor:
        """Return the pixels of all images (N, H·W·C) uint8, or normalised floats where kept."""
        floats = None if augment else self._floats
        return self._pixels.flatten(1) if floats is None else floats

    def from_rows(self, rows: Tensor) -> Tensor:
        """Return stored rows, on the device, as images."""
        floats = rows if rows.is_floating_point() else self._normalised.rows(rows)
        return in_format(self.as_images(floats), self.memory_format)

    def augmented(self, rows: Tensor, augmenter: Augmenter, epoch: int, step: int) -> Tensor:
        """Return the images of pixels (B, H·W·C), augmented, float32 on the device."""
        return self.normalised(augmenter(self.as_images(rows), epoch, step))

    def normalised(self, images: Tensor) -> Tensor:
        """Return uint8 images (B, C, H, W), on the device, as `inputs`."""
        images = self._normalised.images(images.contiguous(memory_format=torch.channels_last))
        return in_format(images, self.memory_format)

    @cached_property
    def _floats(self) -> Tensor | None:
        """All images as rows of normalised floats where that is little; else None."""
        if self.home.type != self.device.type or self._pixels.numel() * 4 > FLOAT_BYTES:
            return None
        with torch.inference_mode(mode=False):  # used in training also when first in evaluation
            return self._normalised.rows(self._pixels.flatten(1))

    def as_images(self, rows: Tensor) -> Tensor:
        """Return rows (B, H·W·C) as images (B, C, H, W), channels-last."""
        channels, height, width = self.shape
        return rows.view(len(rows), height, width, channels).permute(0, 3, 1, 2)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on a GPU when it has room for it, else as it is."""
    if device.type == "cuda" and tensor.numel() * tensor.element_size() <= _room(device):
        return tensor.to(device)
    return tensor


def _room(device: torch.device) -> int:
    """Return how many bytes of pixels may be kept on a GPU."""
    total = int(torch.cuda.get_device_properties(device).total_memory)
    return min(ON_DEVICE_BYTES, total // 4)


def evaluation_batch_size(shape: tuple[int, ...], device: torch.device) -> int:
    """Return the batch size of evaluations: a power of two in [32, 1024].

    It follows from the size of a sample and the kind of device alone.
    """
    values = EVALUATION_VALUES.get(device.type, EVALUATION_VALUES_ELSEWHERE)
    fitting = max(1, values // math.prod(shape))
    return min(1024, max(32, 1 << (fitting.bit_length() - 1)))

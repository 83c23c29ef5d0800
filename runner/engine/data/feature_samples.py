"""Features of images, where images would be: in steps of training and where it is evaluated."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from pathlib import Path

import torch
from torch import Tensor

from runner.artifacts.folder import INDEX
from runner.components.augmentations.pipeline import Pipeline
from runner.components.settings import Sampling
from runner.engine.arithmetic import in_format
from runner.engine.data.arrays import map_array
from runner.engine.data.augment import Augmenter
from runner.engine.data.samples import Images, Samples, on_device

ARRAY = "features.npy"


class Features(Samples):
    """The features of a data set's images; batches are (B, …) float32."""

    def __init__(self, folder: Path, images: Images) -> None:
        super().__init__(images.index, images.settings, images.device)
        index = json.loads((folder / INDEX).read_text())
        rows = torch.from_numpy(map_array(folder / ARRAY))
        self.digest = str(index["sha256"])
        self.memory_format = images.memory_format
        self.shape = tuple(rows.shape[1:])
        self._rows = on_device(rows, images.device)
        self.home = self._rows.device

    def stored(self, augment: bool) -> Tensor:
        """Return all features as rows (N, …), those of mirrored images behind the others."""
        return self._rows.flatten(1)

    def from_rows(self, rows: Tensor) -> Tensor:
        """Return stored rows, on the device, as features."""
        return in_format(rows.view(-1, *self.shape), self.memory_format)

    def augmented(self, rows: Tensor, augmenter: Augmenter, epoch: int, step: int) -> Tensor:
        """Return stored rows as features: which are mirrored was chosen when they were picked."""
        return self.from_rows(rows)

    def drawn(
        self, indices: Iterable[Tensor], augmenter: Augmenter, epoch: int, first: int = 1
    ) -> Iterable[Tensor]:
        """Yield the rows of each step, of mirrored images where training mirrors."""
        for step, some in enumerate(indices, start=first):
            flips = augmenter.flips(len(some), epoch, step).to(some.device, non_blocking=True)
            yield some + flips * len(self._labels)


class FeaturesWhereEvaluated(Features):
    """Features for what is evaluated; a step of training sees the images, augmented."""

    def __init__(self, folder: Path, images: Images) -> None:
        super().__init__(folder, images)
        self._images = images

    @property
    def trained(self) -> Samples:
        """The images."""
        return self._images

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
        """Yield the batches of an epoch, of images."""
        return self._images.training_batches(
            seed, epoch, batch_size, drop_last, augment, sampling, first
        )


Opened = dict[tuple[str, type[Features], Images], Features]
"""Features that are open, by artifact name, class and images."""

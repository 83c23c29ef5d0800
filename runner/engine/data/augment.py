"""Augmentation of training batches, on the device, each image with parameters of its own.

Owns the keys of the draws. What each step draws, it draws on the CPU and for every image of the
batch, whether or not the image is picked, from a generator of its own: devices agree, and one
step's draws move no other's. Knows neither data sets nor networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.augmentations.augmentation import Augmentation
from runner.components.augmentations.draws_net import unit
from runner.components.augmentations.pipeline import OneOf, Pipeline
from runner.components.augmentations.rows_net import on_rows
from runner.core.keys import keyed_seed

PURPOSE = "augment"


@dataclass(frozen=True)
class Augmenter:
    """A pipeline, for the batches of one training.

    Attributes:
        pipeline: what is done.
        seed: of the run.
        mean: of the data's normalisation, in [0, 1], one for all channels or one for each.
    """

    pipeline: Pipeline
    seed: int
    mean: Sequence[float] = (0.0,)

    def __call__(self, images: Tensor, epoch: int, step: int) -> Tensor:
        """Return the augmented images of a batch, uint8 (B, C, H, W).

        Args:
            images: uint8 (B, C, H, W) on any device; not changed.
            epoch: from 1.
            step: of the epoch, from 1.
        """
        batch = _Batch(self.seed, epoch, step, len(images), self.mean)

        def augment(part: Tensor, rows: Tensor) -> Tensor:
            return batch.steps(self.pipeline.steps, part, rows, "")

        return on_rows(images, batch.picked("", self.pipeline.p), augment)

    def flips(self, count: int, epoch: int, step: int) -> Tensor:
        """Return which images of a batch are mirrored, (B,) bool on the CPU.

        For pipelines of two views, whose images need not be computed to know it.
        """
        assert self.pipeline.num_views() == 2
        (flip,) = self.pipeline.steps
        batch = _Batch(self.seed, epoch, step, count, self.mean)
        return batch.picked("", self.pipeline.p) & batch.picked("0", flip.chance())


@dataclass(frozen=True)
class _Batch:
    """The draws of one batch of ``count`` images, each by the path of its step."""

    seed: int
    epoch: int
    step: int
    count: int
    mean: Sequence[float]

    def generator(self, step_path: str) -> torch.Generator:
        """Return the generator of a step: "" is the pipeline, "0" its first step."""
        purpose = f"{PURPOSE} {step_path}".strip()
        return torch.Generator().manual_seed(keyed_seed(self.seed, purpose, self.epoch, self.step))

    def picked(self, step_path: str, chance: float) -> Tensor:
        """Return which images of the batch are picked, (B,) bool: the first draw of a step."""
        return unit(self.generator(step_path), self.count) < chance

    def steps(
        self, steps: Sequence[Augmentation | OneOf], images: Tensor, rows: Tensor, step_path: str
    ) -> Tensor:
        """Return images after steps.

        Args:
            steps: one after the other.
            images: uint8 (K, C, H, W).
            rows: of them in the batch, (K,).
            step_path: prefix of the steps, ending with a dot.
        """
        for index, step in enumerate(steps):
            if isinstance(step, OneOf):
                images = self._one_of(step, images, rows, f"{step_path}{index}")
            else:
                images = self._apply(step, images, rows, f"{step_path}{index}")
        return images

    def _apply(self, step: Augmentation, images: Tensor, rows: Tensor, step_path: str) -> Tensor:
        generator = self.generator(step_path)
        picked = unit(generator, self.count) < step.chance()
        height, width = images.shape[-2:]
        drawn = step.draw(generator, self.count, (height, width))

        def change(part: Tensor, inside: Tensor) -> Tensor:
            own = {name: values[rows[inside]] for name, values in drawn.items()}
            return step.apply(part, own, self.mean)

        return on_rows(images, picked[rows], change)

    def _one_of(self, step: OneOf, images: Tensor, rows: Tensor, step_path: str) -> Tensor:
        weights = step.weights or (1.0,) * len(step.choices)
        bounds = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        drawn = unit(self.generator(step_path), self.count) * bounds[-1]
        chosen = torch.searchsorted(bounds, drawn, right=True).clamp_(max=len(weights) - 1)[rows]
        result: Tensor | None = None
        for number, steps in enumerate(step.choices):
            inside = (chosen == number).nonzero().squeeze(1)
            if len(inside) == 0:
                continue
            there = inside.to(images.device)
            part = self.steps(steps, images[there], rows[inside], f"{step_path}.{number}.")
            if result is None:
                result = part.new_empty((len(images), *part.shape[1:]))
            result.index_copy_(0, there, part)
        return images if result is None else result


def augmented_samples(
    pixels: NDArray[np.uint8],
    pipeline: Pipeline,
    seed: int,
    count: int,
    mean: Sequence[float] = (0.0,),
) -> NDArray[np.uint8]:
    """Return what a pipeline makes of images, for people to look at.

    Every image goes through the whole pipeline, whatever its probability.

    Args:
        pixels: (N, H, W, C).
        pipeline: the augmentation.
        seed: of the draws.
        count: versions of each image.
        mean: see :class:`Augmenter`.

    Returns:
        (count, N, H, W, C).
    """
    augment = Augmenter(pipeline.model_copy(update={"p": 1.0}), seed, mean)
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    versions = [augment(images, version + 1, 1) for version in range(count)]
    return torch.stack(versions).permute(0, 1, 3, 4, 2).contiguous().numpy()

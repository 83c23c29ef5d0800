"""What is drawn for a batch: the parameters of every step of a pipeline, each from its own key.

Owns the keys. All is drawn on the CPU and for every image of the batch, whether or not the image is
picked, from a generator for each step, of some steps for each image: devices agree, and one step's
draws move no other's. Sees no image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.components.augmentations.augmentation import Augmentation, Size
from runner.components.augmentations.draws_net import unit
from runner.components.augmentations.pipeline import OneOf, Pipeline
from runner.core.keys import keyed_seed

PURPOSE = "augment"


@dataclass(frozen=True)
class DrawnStep:
    """A step and what was drawn for it.

    Attributes:
        path: "0" is the first step of the pipeline, "0.1.2" the third of the second choice there.
        step: what is done.
        size: height and width of the images before it.
        picked: (B,) bool, the images that it is applied to.
        drawn: (B, …) each.
    """

    path: str
    step: Augmentation
    size: Size
    picked: Tensor
    drawn: Mapping[str, Tensor]


@dataclass(frozen=True)
class DrawnChoice:
    """Lists of steps, of which each image gets one.

    Attributes:
        path: as of a step.
        chosen: (B,) int64, places in ``choices``.
        choices: the lists.
    """

    path: str
    chosen: Tensor
    choices: tuple[DrawnSteps, ...]


DrawnSteps = tuple[DrawnStep | DrawnChoice, ...]


@dataclass(frozen=True)
class Draws:
    """The draws of one batch of ``count`` images, each by the path of its step.

    Attributes:
        seed: of all of them.
        epoch: from 1.
        step: of the epoch, from 1.
        count: images of the batch.
        rows: which images of the data they are, for steps that draw by image.
    """

    seed: int
    epoch: int
    step: int
    count: int
    rows: Sequence[int] = ()

    def generator(self, step_path: str) -> torch.Generator:
        """Return the generator of a step: "" is the pipeline."""
        purpose = f"{PURPOSE} {step_path}".strip()
        return torch.Generator().manual_seed(keyed_seed(self.seed, purpose, self.epoch, self.step))

    def picked(self, step_path: str, chance: float) -> Tensor:
        """Return which images of the batch are picked, (B,) bool: the first draw of a step."""
        return unit(self.generator(step_path), self.count) < chance

    def pipeline(self, pipeline: Pipeline, size: Size) -> tuple[Tensor, DrawnSteps]:
        """Return which images of a size go through the pipeline, (B,) bool, and its steps."""
        return self.picked("", pipeline.p), self._steps(pipeline.steps, size, "")

    def _steps(self, steps: Sequence[Augmentation | OneOf], size: Size, prefix: str) -> DrawnSteps:
        drawn: list[DrawnStep | DrawnChoice] = []
        for index, step in enumerate(steps):
            path = f"{prefix}{index}"
            if isinstance(step, OneOf):
                drawn.append(self._one_of(step, size, path))
            else:
                drawn.append(self._step(step, size, path))
            size = step.output_size(size)
        return tuple(drawn)

    def _step(self, step: Augmentation, size: Size, path: str) -> DrawnStep:
        generator = self.generator(path)
        picked = unit(generator, self.count) < step.chance()
        if step.by_image:
            drawn = self._by_image(step, size)
        else:
            drawn = step.draw(generator, self.count, size)
        return DrawnStep(path, step, size, picked, drawn)

    def _by_image(self, step: Augmentation, size: Size) -> Mapping[str, Tensor]:
        """Return what a step draws for each image from a generator of the image's own."""
        assert len(self.rows) == self.count, f"which images {step.purpose} is drawn for is unknown"
        every = [
            step.draw(
                torch.Generator().manual_seed(keyed_seed(self.seed, step.purpose, self.epoch, row)),
                1,
                size,
            )
            for row in self.rows
        ]
        return {name: torch.cat([drawn[name] for drawn in every]) for name in every[0]}

    def _one_of(self, step: OneOf, size: Size, path: str) -> DrawnChoice:
        weights = step.weights or (1.0,) * len(step.choices)
        bounds = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        drawn = unit(self.generator(path), self.count) * bounds[-1]
        chosen = torch.searchsorted(bounds, drawn, right=True).clamp_(max=len(weights) - 1)
        choices = tuple(
            self._steps(steps, size, f"{path}.{number}.")
            for number, steps in enumerate(step.choices)
        )
        return DrawnChoice(path, chosen, choices)

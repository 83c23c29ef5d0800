"""Augmentation of training batches, on the device, each image with parameters of its own.

Owns which images a step sees. On a CPU these are the ones that are picked, which saves work. On a
GPU every step sees the whole batch, and results that are not wanted are thrown away: shapes never
change, all that was drawn goes there in one copy, and nothing waits. The levels are the same. Knows
neither data sets nor networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.augmentations.pipeline import Pipeline
from runner.components.augmentations.rows_net import RowChange, in_groups, on_rows
from runner.engine.data.draws import DrawnChoice, DrawnStep, DrawnSteps, Draws
from runner.engine.data.packing import to_device

Mean = Sequence[float]
"""Of the data's normalisation, in [0, 1], one for all channels or one for each."""


@dataclass(frozen=True)
class Augmenter:
    """A pipeline, for the batches of one training.

    Attributes:
        pipeline: what is done.
        seed: of the run.
        mean: see ``Mean``.
    """

    pipeline: Pipeline
    seed: int
    mean: Mean = (0.0,)

    def __call__(self, images: Tensor, epoch: int, step: int, rows: Sequence[int] = ()) -> Tensor:
        """Return the augmented images of a batch, uint8 (B, C, H, W).

        Args:
            images: uint8 (B, C, H, W) on any device; not changed.
            epoch: from 1.
            step: of the epoch, from 1.
            rows: which images of the data they are, for steps that draw by image.
        """
        draws = Draws(self.seed, epoch, step, len(images), rows)
        picked, steps = draws.pipeline(self.pipeline, (images.shape[-2], images.shape[-1]))
        if images.device.type == "cpu":
            return by_rows(images, picked, steps, self.mean)
        if images.device.type == "mps":  # it has no float64, which draws and levels need
            return by_rows(images.cpu(), picked, steps, self.mean).to(images.device)
        some = picked if self.pipeline.p < 1 else None
        return by_masks(images, some, steps, self.mean, images.device)

    def flips(self, count: int, epoch: int, step: int) -> Tensor:
        """Return which images of a batch are mirrored, (B,) bool on the CPU.

        For pipelines of two views, whose images need not be computed to know it.
        """
        assert self.pipeline.num_views() == 2
        (flip,) = self.pipeline.steps
        draws = Draws(self.seed, epoch, step, count)
        return draws.picked("", self.pipeline.p) & draws.picked("0", flip.chance())


def by_rows(images: Tensor, picked: Tensor, steps: DrawnSteps, mean: Mean) -> Tensor:
    """Return a batch on the CPU after steps, each of which sees the images that it is applied to.

    Args:
        images: uint8 (B, C, H, W); not changed.
        picked: (B,) bool, which of them go through the steps.
        steps: one after the other.
        mean: see ``Mean``.
    """
    return on_rows(images, picked, lambda part, rows: _rows_after(steps, part, rows, mean))


def _rows_after(steps: DrawnSteps, images: Tensor, rows: Tensor, mean: Mean) -> Tensor:
    """Return the images, which are ``rows`` (K,) of the batch, after steps."""
    for each in steps:
        if isinstance(each, DrawnStep):
            images = _rows_changed(each, images, rows, mean)
        else:
            images = _rows_chosen(each, images, rows, mean)
    return images


def _rows_changed(each: DrawnStep, images: Tensor, rows: Tensor, mean: Mean) -> Tensor:
    def change(part: Tensor, inside: Tensor) -> Tensor:
        own = {name: values[rows[inside]] for name, values in each.drawn.items()}
        return each.step.apply(part, each.step.parameters(own, each.size, part.device), mean)

    return on_rows(images, each.picked[rows], change)


def _rows_chosen(each: DrawnChoice, images: Tensor, rows: Tensor, mean: Mean) -> Tensor:
    def change(steps: DrawnSteps) -> RowChange:
        return lambda part, inside: _rows_after(steps, part, rows[inside], mean)

    return in_groups(images, each.chosen[rows], [change(steps) for steps in each.choices])


def by_masks(
    images: Tensor, picked: Tensor | None, steps: DrawnSteps, mean: Mean, device: torch.device
) -> Tensor:
    """Return a batch on any device after steps, each of which sees all of its images.

    Args:
        images: uint8 (B, C, H, W); not changed.
        picked: (B,) bool on the CPU, which of them go through the steps; None for all.
        steps: one after the other.
        mean: see ``Mean``.
        device: for which parameters are worked out.
    """
    here = _parameters(steps, device)
    if picked is not None:
        here["picked"] = picked
    there = to_device(here, images.device)
    changed = _all_after(steps, images, there, mean)
    return changed if picked is None else _where(there["picked"], changed, images)


def _parameters(steps: DrawnSteps, device: torch.device) -> dict[str, Tensor]:
    """Return all that steps need on the device, by the paths and names."""
    found: dict[str, Tensor] = {}
    for each in steps:
        if isinstance(each, DrawnStep):
            own = each.step.parameters(each.drawn, each.size, device)
            found |= {f"{each.path} {name}": values for name, values in own.items()}
            if each.step.chance() < 1:
                found[each.path] = each.picked
        else:
            for number, choice in enumerate(each.choices):
                found[f"{each.path} {number}"] = each.chosen == number
                found |= _parameters(choice, device)
    return found


def _all_after(
    steps: DrawnSteps, images: Tensor, there: Mapping[str, Tensor], mean: Mean
) -> Tensor:
    """Return the images after steps, all of them after each."""
    for each in steps:
        if isinstance(each, DrawnStep):
            start = f"{each.path} "
            own = {name[len(start) :]: there[name] for name in there if name.startswith(start)}
            changed = each.step.apply(images, own, mean)
            if each.step.chance() < 1:
                changed = _where(there[each.path], changed, images)
        else:
            changed = _all_after(each.choices[0], images, there, mean)
            for number, choice in enumerate(each.choices[1:], start=1):
                other = _all_after(choice, images, there, mean)
                changed = _where(there[f"{each.path} {number}"], other, changed)
        images = changed
    return images


def _where(picked: Tensor, changed: Tensor, images: Tensor) -> Tensor:
    """Return the changed images where picked (B,), else the images."""
    return torch.where(picked[:, None, None, None], changed, images)


def augmented_samples(
    pixels: NDArray[np.uint8],
    pipeline: Pipeline,
    seed: int,
    count: int,
    mean: Mean = (0.0,),
) -> NDArray[np.uint8]:
    """Return what a pipeline makes of images, for people to look at.

    Every image goes through the whole pipeline, whatever its probability.

    Args:
        pixels: (N, H, W, C).
        pipeline: the augmentation.
        seed: of the draws.
        count: versions of each image.
        mean: see ``Mean``.

    Returns:
        (count, N, H, W, C).
    """
    augment = Augmenter(pipeline.model_copy(update={"p": 1.0}), seed, mean)
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    versions = [augment(images, version + 1, 1) for version in range(count)]
    return torch.stack(versions).permute(0, 1, 3, 4, 2).contiguous().numpy()

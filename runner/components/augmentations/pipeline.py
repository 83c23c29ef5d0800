"""A pipeline of augmentations: its steps, choices between lists of steps, and sizes in between.

Owns the settings under `train.augment`. Draws nothing and sees no image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runner.components.augmentations import AnyAugmentation, Operation
from runner.components.augmentations.augmentation import (
    MAX_SIDE,
    Augmentation,
    Fraction,
    Positive,
    Size,
    UnsuitableSize,
    size_text,
)
from runner.components.augmentations.own_step import OwnStep
from runner.components.component import Component
from runner.components.own.union import OwnCode

MAX_STEPS = 100
"""Steps of a pipeline or of a choice, and choices."""


class OneOf(Component):
    """Each image gets one of several lists of steps."""

    name: Literal["one_of"]
    choices: tuple[Annotated[tuple[Operation, ...], Field(max_length=MAX_STEPS)], ...] = Field(
        min_length=1,
        max_length=MAX_STEPS,
        description="lists of steps, of which an image gets one; [] changes nothing",
    )
    weights: tuple[Positive, ...] | None = Field(
        None,
        max_length=MAX_STEPS,
        description="how often each list is chosen, relatively; equally often when not given",
    )

    @model_validator(mode="after")
    def _a_weight_per_choice(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.choices):
            raise ValueError(
                f"weights has {len(self.weights)} values, choices has {len(self.choices)}"
            )
        return self

    def chance(self) -> float:
        """Return the probability that a choice is made for an image: each gets one."""
        return 1.0

    def output_size(self, size: Size) -> Size:
        """Return the size of images after the step.

        Raises:
            UnsuitableSize: when a list cannot be applied, or not all of them give one size.
        """
        sizes = [
            _size_after(steps, size, f"choices.{number}.")
            for number, steps in enumerate(self.choices)
        ]
        if len(set(sizes)) > 1:
            found = (
                f"its choices give images of {' and '.join(map(size_text, dict.fromkeys(sizes)))}"
            )
            raise UnsuitableSize("choices", found, "choices that give one size")
        return sizes[0]


Step = Annotated[AnyAugmentation | OneOf, Field(discriminator="name"), OwnCode(OwnStep)]


class Pipeline(Component):
    """What happens to training images, between decoding and normalisation.

    A list is short for `{steps: [...]}`, and a name for a step without settings. All parameters are
    drawn for each image by itself. Evaluation sees images as they are.
    """

    p: Fraction = Field(
        1.0, description="probability of an image to go through the whole pipeline, else untouched"
    )
    steps: tuple[Step, ...] = Field(
        min_length=1, max_length=MAX_STEPS, description="augmentations, one after the other"
    )

    def check(self, size: Size) -> None:
        """Check that images of a size can pass through, and have the same size at the end.

        Raises:
            UnsuitableSize: when not; its ``setting`` is a path within the pipeline.
        """
        after = _size_after(self.steps, size, "steps.")
        if after == size:
            return
        sizes = [_size_after(self.steps[:end], size, "") for end in range(len(self.steps) + 1)]
        last = max(index for index in range(len(self.steps)) if sizes[index] != sizes[index + 1])
        found = (
            f"augmented images are {size_text(after)}, but those evaluated are {size_text(size)}"
        )
        allowed = f"steps that end with {size_text(size)}, as with a RandomCrop of this size"
        raise UnsuitableSize(f"steps.{last}", found, allowed)

    def num_views(self) -> int | None:
        """Return how many different images it makes of one, or None where that is not fixed."""
        is_flip = len(self.steps) == 1 and self.steps[0].name == "RandomHorizontalFlip"
        return 2 if is_flip else None


def _size_after(steps: Sequence[Augmentation | OneOf], size: Size, path: str) -> Size:
    for index, step in enumerate(steps):
        try:
            size = step.output_size(size)
            if max(size) > MAX_SIDE or min(size) < 1:
                found = f"it would make images of {size_text(size)}"
                raise UnsuitableSize("size", found, f"sides of 1 to {MAX_SIDE} pixels")
        except UnsuitableSize as unsuitable:
            raise UnsuitableSize(
                f"{path}{index}.{unsuitable.setting}", str(unsuitable), unsuitable.allowed
            ) from None
    return size

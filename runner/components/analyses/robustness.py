"""Robustness: how a network fares on images that are changed, a little or much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.components.analyses.analysis import AnalysedSplit, OnSplit, Place
from runner.components.augmentations.augmentation import Size, UnsuitableSize
from runner.components.augmentations.pipeline import MAX_STEPS, Pipeline, Step
from runner.components.component import Component
from runner.components.measures import STANDARD

UNCHANGED = "none"
"""What the images as they are stand under, with severity 0."""

Severity = Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]


class Transform(Component):
    """Augmentation steps under a label, once for each severity.

    A step alone, as `{name: GaussianBlur, sigma: 2.0}`, is short for one severity under its own
    name.
    """

    label: str = Field(min_length=1, max_length=100, description="as tables and figures name it")
    severities: tuple[Severity, ...] = Field(
        min_length=1,
        max_length=MAX_STEPS,
        description="steps of severity 1, of 2 and so on: each a step, or a list of steps",
    )


class Robustness(OnSplit):
    """Accuracy and loss on changed images: the augmentation steps, applied to what is evaluated.

    The images as they are come first, as the transform `none` of severity 0. Every other transform
    is drawn `draws` times, with draws that depend on `seed` alone: all runs see the same images.
    A step of probability `p` leaves the other images as they are; at 1 it changes them all.
    """

    VALUES: ClassVar[Mapping[str, str]] = {each.name: each.about for each in STANDARD}
    DIMENSIONS: ClassVar[Mapping[str, str]] = {
        "transform": "label of the transform; `none` for the images as they are",
        "severity": "which of its severities, from 1; 0 for `none`",
        "draw": "which of the draws, from 1",
    }
    REPEATED: ClassVar[Sequence[str]] = ("draw",)

    name: Literal["robustness"]
    transforms: tuple[Transform, ...] = Field(
        min_length=1, max_length=MAX_STEPS, description="what is done to the images, one by one"
    )
    draws: int = Field(5, ge=1, le=1000, description="how often each transform is drawn")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="of what is drawn")

    @model_validator(mode="after")
    def _different_labels(self) -> Self:
        labels = [UNCHANGED, *(each.label for each in self.transforms)]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice == UNCHANGED:
            raise ValueError(f"a transform is called '{UNCHANGED}', as the images as they are")
        if twice is not None:
            raise ValueError(f"two transforms are called '{twice}'; give one of them another label")
        return self

    def places(self) -> Sequence[Place]:
        """Return each transform and severity."""
        unchanged: Place = {"transform": UNCHANGED, "severity": 0}
        return [unchanged, *(place for place, _ in self.pipelines())]

    def pipelines(self) -> list[tuple[Place, Pipeline]]:
        """Return what is done to the images, with where its values stand."""
        return [
            ({"transform": each.label, "severity": severity}, Pipeline(steps=steps))
            for each in self.transforms
            for severity, steps in enumerate(each.severities, start=1)
        ]

    def passes(self, sizes: Mapping[AnalysedSplit, float]) -> float:
        """Return how many images go through the network."""
        return sizes[self.split] * (1 + len(self.pipelines()) * self.draws)

    def check_size(self, size: Size) -> None:
        """Check that images of a size can go through every transform, and keep their size.

        Raises:
            UnsuitableSize: when not; its ``setting`` is a path within the analysis.
        """
        for number, each in enumerate(self.transforms):
            for severity, steps in enumerate(each.severities):
                try:
                    Pipeline(steps=steps).check(size)
                except UnsuitableSize as error:
                    inside = error.setting.removeprefix("steps.")
                    path = f"transforms.{number}.severities.{severity}.{inside}"
                    raise UnsuitableSize(path, str(error), error.allowed) from None

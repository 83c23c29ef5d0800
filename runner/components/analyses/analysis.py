"""The base class of analyses: which weights, and which values at which places they record.

Knows no network and no image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from runner.components.augmentations.augmentation import Size
from runner.components.component import NamedComponent
from runner.core.reader import KeptWeights
from runner.core.records import DimensionValue

AnalysedSplit = Literal["train", "val", "test"]
Named = Literal["class", "image", "layer"]
Place = Mapping[str, DimensionValue]
"""Where a value stands: its dimensions by name."""


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list in which something stands twice: its values would stand at one place."""
    twice = next((each for each in values if values.count(each) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} stands twice")
    return values


EachOnce = AfterValidator(_each_once)
"""Of a setting that is a list of different things."""


class AnalysisSettings(NamedComponent):
    """An analysis looks at the weights that a run keeps; it is no part of the run."""

    VALUES: ClassVar[Mapping[str, str]] = {}
    """What it records, by name, with what each is."""

    DIMENSIONS: ClassVar[Mapping[str, str]] = {}
    """Where a value stands, by name, with what each is."""

    NAMES: ClassVar[Mapping[str, Named]] = {}
    """Dimensions whose values are names that only the data tells, with what they are names of."""

    REPEATED: ClassVar[Sequence[str]] = ()
    """Dimensions along which a measurement is repeated, as `draw`: tables show the mean."""

    LEAVES_ARRAYS: ClassVar[bool] = False
    """Whether it leaves arrays beside its values."""

    FEWEST: ClassVar[int] = 1
    """Images of its split without which it says nothing."""

    NEEDS_IMAGES: ClassVar[bool] = True
    """Whether it looks at images; without, it can be made where they are gone."""

    FROM_LOGITS: ClassVar[bool] = False
    """Whether it needs nothing but the logits of its split: no network, no images."""

    weights: KeptWeights = Field("best", description="the epoch whose weights are looked at")

    @property
    def kind(self) -> str:
        """The name by which a spec chooses it."""
        return self.name

    def looks_at(self) -> AnalysedSplit | None:
        """Return the images that it looks at, None for none or those that it names."""
        return None

    def chosen(self, total: int) -> Sequence[int] | None:
        """Return which images of its split it looks at, None for all.

        Args:
            total: how many the split has.
        """
        return None

    def named_images(self) -> Sequence[str]:
        """Return the names of images in its setting `images`, which the data must have."""
        return ()

    def named_class(self) -> str | None:
        """Return the name of the class in its setting `target`, which the data must have."""
        return None

    def places(self) -> Sequence[Place] | None:
        """Return where its values will stand, without repetitions; None where only data tells."""
        return None

    def places_of(self, value: str) -> Sequence[Place] | None:
        """Return where one of its values will stand, by default as all of them do."""
        return self.places()

    def passes(self, sizes: Mapping[AnalysedSplit, float]) -> float:
        """Return about how many images go through the network.

        Args:
            sizes: images of each split.
        """
        split = self.looks_at()
        return 0.0 if split is None else sizes[split]

    def num_changes(self) -> int:
        """Return how often each image of its split is changed, to be kept for other networks."""
        return 0

    def check_size(self, size: Size) -> None:
        """Check that it can be made of images of a size.

        Raises:
            UnsuitableSize: when not; its ``setting`` is a path within the analysis.
        """


class OnSplit(AnalysisSettings):
    """An analysis of the images of one split."""

    split: AnalysedSplit = Field("val", description="the images that are looked at")

    def looks_at(self) -> AnalysedSplit | None:
        """Return the images that it looks at."""
        return self.split

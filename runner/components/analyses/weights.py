"""Analyses that look at weights alone: filters of the first convolution, neurons of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from runner.components.analyses.analysis import AnalysisSettings, EachOnce, Place
from runner.components.models.classifier import LayerPattern

Neuron = Annotated[int, Field(ge=0, le=(1 << 20) - 1)]
MAX_NEURONS = 64


class OfWeights(AnalysisSettings):
    """An analysis of weights leaves arrays alone, no values."""

    LEAVES_ARRAYS: ClassVar[bool] = True
    NEEDS_IMAGES: ClassVar[bool] = False

    def places(self) -> Sequence[Place]:
        """Return no place: there are no values."""
        return []


class Filters(OfWeights):
    """The filters of the first convolution as pictures, before and after training.

    Those before are drawn from the seed again, or read from the pretrained weights. Leaves `before`
    and `after`, (filters, height, width, channels), from 0 to 1 under one scale, and `layer`.
    """

    name: Literal["filters"]


class Neurons(OfWeights):
    """The weights of chosen neurons that look at the image's pixels, laid out as the image is.

    Leaves `color` (neurons, height, width, channels) and `summed` over the channels (neurons,
    height, width), from 0 to 1; a weight of 0 is 0.5; also `layer` and `neurons`.
    """

    name: Literal["neurons"]
    neurons: Annotated[tuple[Neuron, ...], EachOnce] = Field(
        (0, 1, 2, 3, 4, 5),
        min_length=1,
        max_length=MAX_NEURONS,
        description="their numbers, counted from 0",
    )
    layer: LayerPattern | None = Field(
        None, description="a linear layer by name; the first when not given"
    )

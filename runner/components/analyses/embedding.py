"""Embedding: images by what a layer makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.components.analyses.analysis import AnalysedSplit, OnSplit, Place
from runner.components.models.classifier import LayerPattern

NEIGHBOURS = "neighbour_accuracy"
MOST_OF_TSNE = 10_000
"""Images that t-SNE maps in a minute or two, in which nothing can stop it."""


class Embedding(OnSplit):
    """A layer's outputs of images as a map in two dimensions, and the nearest images of each.

    Maps of a convolution count by their means. `pca` keeps distances as far as a plane can, `tsne`
    (van der Maaten and Hinton, 2008) keeps neighbours, and is not stopped before it is through.
    Nearest is by the cosine of the outputs.
    Leaves `points` (images, 2), `images` (their places in the split), `labels`, `nearest` (images,
    neighbours), `distances` likewise, and `explained`, the share of the variance along each axis,
    empty of `tsne`; also `layer` and `class_names`.
    """

    VALUES: ClassVar[Mapping[str, str]] = {
        NEIGHBOURS: "share of the images whose nearest image has their class"
    }
    LEAVES_ARRAYS: ClassVar[bool] = True
    FEWEST: ClassVar[int] = 4

    name: Literal["embedding"]
    layer: LayerPattern | None = Field(
        None, description="whose output; when not given, the input of the last linear layer"
    )
    method: Literal["pca", "tsne"] = Field("pca", description="how the map is made")
    images: int = Field(
        2000,
        ge=4,
        le=50_000,
        description="at most so many of the split, evenly spaced; of `tsne` at most 10,000",
    )
    neighbours: int = Field(5, ge=1, le=100, description="nearest images of each")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="of the map's draws")

    @model_validator(mode="after")
    def _few_enough_for_tsne(self) -> Self:
        if self.method == "tsne" and self.images > MOST_OF_TSNE:
            raise ValueError(f"images is {self.images}; tsne maps at most {MOST_OF_TSNE}")
        return self

    def places(self) -> Sequence[Place]:
        """Return the one place there is."""
        return [{}]

    def passes(self, sizes: Mapping[AnalysedSplit, float]) -> float:
        """Return how many images go through the network."""
        return min(float(self.images), sizes[self.split])

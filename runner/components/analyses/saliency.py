"""Saliency: which pixels of an image move the score of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.components.analyses.analysis import AnalysedSplit, EachOnce, Named, OnSplit
from runner.components.models.classifier import LayerPattern
from runner.core.spacing import evenly_spaced

SaliencyMethod = Literal["gradient", "guided_backpropagation", "grad_cam"]
PROBABILITY = "probability"
MAX_NAMED = 200
ImageName = Annotated[str, Field(min_length=1, max_length=4096)]
Images = Annotated[tuple[ImageName, ...], Field(min_length=1, max_length=MAX_NAMED)]


class Saliency(OnSplit):
    """What of an image speaks for a class: gradient, guided backpropagation, Grad-CAM.

    `gradient` (Simonyan et al., 2014) and `guided_backpropagation` (Springenberg et al., 2015)
    leave four pictures of each image, such as `gradient_color`, `_gray`, `_positive` and
    `_negative`; `grad_cam` (Selvaraju et al., 2017) a map. Guided backpropagation is refused where
    an activation is, or may be, no ReLU module: it would be the plain gradient there. Also leaves
    `images`
    (pixels), `labels`, `classes` (those explained), `probabilities`, `class_names`, and of Grad-CAM
    `layer`.
    """

    VALUES: ClassVar[Mapping[str, str]] = {
        PROBABILITY: "what the network gives the class that is explained"
    }
    DIMENSIONS: ClassVar[Mapping[str, str]] = {
        "image": "its name in the data set",
        "class": "the class that is explained",
    }
    NAMES: ClassVar[Mapping[str, Named]] = {"image": "image", "class": "class"}
    LEAVES_ARRAYS: ClassVar[bool] = True

    name: Literal["saliency"]
    methods: Annotated[tuple[SaliencyMethod, ...], EachOnce] = Field(
        ("guided_backpropagation", "grad_cam"), min_length=1, max_length=3, description="which"
    )
    images: Annotated[Images, EachOnce] | None = Field(
        None,
        description="names of images of any split; when not given, `count` of `split`",
    )
    count: int = Field(4, ge=1, le=MAX_NAMED, description="so many, evenly spaced in the split")
    target: str | None = Field(
        None, min_length=1, description="name of a class; the predicted one when not given"
    )
    layer: LayerPattern | None = Field(
        None, description="of Grad-CAM; when not given, the last maps before they are pooled"
    )

    @model_validator(mode="after")
    def _no_setting_without_effect(self) -> Self:
        if self.layer is not None and "grad_cam" not in self.methods:
            raise ValueError("layer is of grad_cam, which is not among the methods")
        for name in ("split", "count"):
            is_default = getattr(self, name) == type(self).model_fields[name].default
            if self.images is not None and not is_default:
                raise ValueError(f"{name} chooses images where none are named; images names them")
        return self

    def looks_at(self) -> AnalysedSplit | None:
        """Return the images that it looks at, None for those that it names."""
        return None if self.images else self.split

    def chosen(self, total: int) -> Sequence[int]:
        """Return which images of its split it looks at."""
        return evenly_spaced(total, self.count)

    def named_images(self) -> Sequence[str]:
        """Return the names of images that it looks at."""
        return self.images or ()

    def named_class(self) -> str | None:
        """Return the name of a class that the data must have."""
        return self.target

    def passes(self, sizes: Mapping[AnalysedSplit, float]) -> float:
        """Return about how many images go through the network, forth and back."""
        return 3.0 * len(self.methods) * (len(self.images) if self.images else self.count)

"""Sizes: weights, multiply-adds and receptive field of each layer, as values that tables show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from runner.components.analyses.analysis import AnalysisSettings, Named

NETWORK = "network"
"""The place of what is said of the whole network, instead of a layer."""


class Sizes(AnalysisSettings):
    """Weights, multiply-adds and receptive field of each layer, as `runner inspect sizes` shows.

    A layer has the name that it has there; a further call of the same layer, `relu (call 2)`. The
    layer `network` stands for the whole: its weights and multiply-adds, and the receptive field of
    the last layer whose units see different parts of an image. What is not known is left out.
    """

    VALUES: ClassVar[Mapping[str, str]] = {
        "parameters": "its weights",
        "trainable": "those that are trained",
        "multiply_adds": "of its convolutions and products of matrices, for one image",
        "field_height": "of the receptive field, in pixels",
        "field_width": "of the receptive field, in pixels",
        "stride_height": "pixels between the fields of units one below the other; 0 where all"
        " see the same",
        "stride_width": "pixels between the fields of units side by side; 0 where all see the same",
    }
    NEEDS_IMAGES: ClassVar[bool] = False
    DIMENSIONS: ClassVar[Mapping[str, str]] = {"layer": "its name in the network, or `network`"}
    NAMES: ClassVar[Mapping[str, Named]] = {"layer": "layer"}

    name: Literal["sizes"]

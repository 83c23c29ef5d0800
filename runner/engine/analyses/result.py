"""What an analysis is given, and what it gives: values with their places, and arrays.

Owns these shapes, and what a value must be; how values and arrays are kept is not decided here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runner.components.settings import Settings
from runner.core.errors import Interrupted, StageFailed
from runner.core.records import AnalysisValue
from runner.engine.analyses.partial_values import PartialValues
from runner.engine.context import Context, Progress
from runner.engine.data.samples import Images
from runner.engine.network.build import Network


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """What an analysis found.

    Attributes:
        values: numbers, each once at its place.
        arrays: by name, which is the name of a file too.
    """

    values: tuple[AnalysisValue, ...] = ()
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInput:
    """What an analysis of a network alone looks at.

    Attributes:
        name: of the analysis.
        context: of the stage.
        network: with the weights that are looked at, in eval mode.
        settings: of the run.
        epoch: whose weights they are.
        shape: channels, height, width of an image of the data set.
        num_classes: of the data set.
    """

    name: str
    context: Context
    network: Network
    settings: Settings
    epoch: int
    shape: tuple[int, int, int]
    num_classes: int

    def report(self, done: int, total: int, split: str = "") -> None:
        """Tell how many images are done; to be called after each batch.

        Raises:
            Interrupted: when asked to stop.
        """
        if self.context.should_stop():
            raise Interrupted(f"stopped in the analysis {self.name}, which is made later")
        self.context.on_progress(Progress(done, total, split=split))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisInput(NetworkInput):
    """What an analysis of a network and images looks at.

    Attributes:
        images: the data set's.
        partial_values: what an earlier attempt has measured, and where this one keeps it meanwhile.
    """

    images: Images
    partial_values: PartialValues

    def numbers_of(self, names: Sequence[str]) -> Tensor:
        """Return the numbers of images by their names, (images,) int64.

        Raises:
            StageFailed: for an image that was left out, as it cannot be decoded.
        """
        numbers = {name: number for number, name in enumerate(self.images.index["names"])}
        left_out = next((name for name in names if name not in numbers), None)
        if left_out is not None:
            why = {each["name"]: each["error"] for each in self.images.index["skipped"]}
            said = f": {why[left_out]}" if why.get(left_out) else ""
            raise StageFailed(f"the image {left_out} was left out, as it cannot be decoded{said}")
        return torch.tensor([numbers[name] for name in names])


Part = tuple[str, Callable[[nn.Module, Tensor], Any]]
"""The setting that asks for something, and what looks whether the network has it, given images."""


@dataclass(frozen=True, slots=True)
class Analyser:
    """What makes an analysis.

    Attributes:
        make: given what it looks at, and the settings of the analysis: `AnalysisInput`,
            `NetworkInput` where it needs no images, `KeptLogits` where it is `FROM_LOGITS`.
        check: given its settings, returns what they ask of a network; None where it suits all.
    """

    make: Callable[[Any, Any], AnalysisResult]
    check: Callable[[Any], Sequence[Part]] | None = None


def check_finite(name: str, values: Sequence[AnalysisValue]) -> None:
    """Refuse a value that no record can hold.

    Args:
        name: of the analysis.
        values: that it has measured.

    Raises:
        StageFailed: for the first that is not finite, with its place.
    """
    for each in values:
        if not math.isfinite(each.value):
            raise StageFailed(f"{name}: {named(each)} is not finite ({each.value})")


def named(value: AnalysisValue) -> str:
    """Return a value's name and place, as messages say them."""
    place = ", ".join(f"{dim} {each}" for dim, each in value.dims.items())
    return f"{value.name} at {place}" if place else value.name

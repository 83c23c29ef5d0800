"""What is needed to use a trained network: settings, classes, size of its images, weights.

Knows no database; imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.components.models.classifier import output_names
from runner.components.settings import Settings
from runner.core.reader import KeptWeights

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Weights that a run has kept, as they are recorded.

    Attributes:
        solo_key: what trainings call the run.
        weights: which of its weights; the last are the best where a run says so.
        digest: of the file.
    """

    solo_key: str
    weights: KeptWeights
    digest: str | None


@dataclass(frozen=True)
class TrainedModel:
    """A trained network, before it is built.

    Attributes:
        run_key: of the run that trained it.
        settings: of that run.
        classes: printable names, in the order of the network's outputs.
        shape: channels, height, width of an image as the network takes it.
        epoch: whose weights these are.
        tensors: weights and buffers of all layers that are not frozen.
        pretrained: the file that gives those of frozen layers, or None.
        about: what was measured of these weights, as ``{"val_accuracy": 0.9}``.
        command: that trains the run again, or "".
        kept: the file of the weights, None where they come from elsewhere.
    """

    run_key: str
    settings: Settings
    classes: Sequence[str]
    shape: Shape
    epoch: int
    tensors: Mapping[str, Tensor] = field(repr=False)
    pretrained: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    kept: KeptFile | None = None

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The names of the network's outputs; it may have more of them than the data classes."""
        return output_names(self.classes, self.settings.model.classes or len(self.classes))

    def preprocessing(self) -> dict[str, Any]:
        """Return what is done with an image before the network sees it, as JSON values."""
        data = self.settings.data
        mean, std = data.normalization()
        channels, height, width = self.shape
        return {
            "turned": "as its EXIF data says; of an animation, the first frame",
            "background": data.background,
            "color": data.color,
            "resize": _plain(data.resize),
            "resize_by": "shorter side, or [height, width]; bilinear, antialiased (Pillow)",
            "crop": _plain(data.crop),
            "crop_at": "centre",
            "scale": "pixels / 255, then (value - mean) / std, for each channel",
            "mean": _for_each(mean, channels),
            "std": _for_each(std, channels),
            "input": {
                "name": "images",
                "shape": ["batch", channels, height, width],
                "type": "float32",
            },
        }


def _plain(size: int | tuple[int, int] | None) -> int | list[int] | None:
    return list(size) if isinstance(size, tuple) else size


def _for_each(values: Sequence[float], channels: int) -> list[float]:
    return list(values) * channels if len(values) == 1 else list(values)

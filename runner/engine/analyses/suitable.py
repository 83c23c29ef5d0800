"""Whether an analysis says something of a network, before the network has weights.

Two images go through the network on the meta device, where nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from runner.components.analyses.analysis import AnalysisSettings
from runner.components.analyses.embedding import Embedding
from runner.components.analyses.saliency import Saliency
from runner.components.analyses.weights import Filters, Neurons
from runner.components.models.classifier import UnknownLayer
from runner.components.settings import Settings
from runner.engine.inspection.embedding import check_outputs
from runner.engine.inspection.filters import filters_layer, neurons_layer
from runner.engine.inspection.guided import check_guided
from runner.engine.inspection.layers import NotSuitable, check_maps, last_maps
from runner.engine.network.layout import network_on_meta

Shape = tuple[int, int, int]


class UnsuitableNetwork(ValueError):
    """An analysis that says nothing of a network.

    Attributes:
        setting: of the analysis, that asks for it; "" for the analysis itself.
        layers: names of the layers there are, where one is unknown.
        layer: that one, or "".
    """

    def __init__(
        self, setting: str, found: str, layers: Sequence[str] = (), layer: str = ""
    ) -> None:
        super().__init__(found)
        self.setting = setting
        self.layers = tuple(layers)
        self.layer = layer


def check_network(
    asked: AnalysisSettings, settings: Settings, shape: Shape, num_classes: int
) -> None:
    """Check that an analysis says something of the network of a run.

    Args:
        asked: the analysis.
        settings: of the run.
        shape: channels, height, width of an image.
        num_classes: of the data.

    Raises:
        UnsuitableNetwork: when it does not.
    """
    check = CHECKS.get(type(asked))
    if check is None:
        return
    network = network_on_meta(settings.model, shape, num_classes).eval()
    images = torch.empty((2, *shape), device="meta")
    for setting, part in check(asked):
        try:
            part(network, images)
        except UnknownLayer as error:
            found = f"no layer is called {error.pattern!r}"
            raise UnsuitableNetwork("layer", found, error.layers, error.pattern) from None
        except NotSuitable as error:
            raise UnsuitableNetwork(setting, str(error)) from None


Part = tuple[str, Callable[[nn.Module, Tensor], Any]]
"""The setting that asks for something, and what looks whether the network has it, given images."""


def _filters(asked: Filters) -> list[Part]:
    return [("", lambda network, images: filters_layer(network))]


def _neurons(asked: Neurons) -> list[Part]:
    def look(network: nn.Module, images: Tensor) -> None:
        channels, height, width = images.shape[1:]
        neurons_layer(network, (channels, height, width), asked.neurons, asked.layer)

    return [("neurons", look)]


def _embedding(asked: Embedding) -> list[Part]:
    return [("layer", lambda network, images: check_outputs(network, images, asked.layer))]


def _saliency(asked: Saliency) -> list[Part]:
    def maps(network: nn.Module, images: Tensor) -> None:
        layer = last_maps(network, images) if asked.layer is None else asked.layer
        check_maps(network, images, layer)

    parts: list[Part] = []
    if "guided_backpropagation" in asked.methods:
        parts.append(("methods", lambda network, images: check_guided(network)))
    if "grad_cam" in asked.methods:
        parts.append(("methods" if asked.layer is None else "layer", maps))
    return parts


CHECKS: dict[type[AnalysisSettings], Callable[[Any], list[Part]]] = {
    Filters: _filters,
    Neurons: _neurons,
    Embedding: _embedding,
    Saliency: _saliency,
}
"""What an analysis needs of a network; those that are not here suit all."""

"""Whether an analysis says something of a network, before the network has weights.

Networks are looked at on the meta device, where nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from runner.components.analyses.analysis import AnalysisSettings
from runner.components.analyses.embedding import Embedding
from runner.components.analyses.saliency import Saliency
from runner.components.analyses.weights import Filters, Neurons
from runner.components.models.classifier import UnknownLayer
from runner.components.models.layers_net import on_meta
from runner.components.settings import Settings
from runner.engine.inspection.embedding import outputs_layer
from runner.engine.inspection.filters import filters_layer, neurons_layer
from runner.engine.inspection.saliency import NotSuitable, check_guided, last_maps, layer_named
from runner.engine.network.layout import num_outputs

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
    model = settings.model
    network = on_meta(lambda: model.build(shape, num_outputs(model, num_classes))).eval()
    for setting, part in check(asked):
        try:
            part(network, shape)
        except UnknownLayer as error:
            found = f"no layer is called {error.pattern!r}"
            raise UnsuitableNetwork("layer", found, error.layers, error.pattern) from None
        except NotSuitable as error:
            raise UnsuitableNetwork(setting, str(error)) from None


Part = tuple[str, Callable[[nn.Module, Shape], Any]]
"""The setting that asks for something, and what looks whether the network has it."""


def _filters(asked: Filters) -> list[Part]:
    return [("", lambda network, shape: filters_layer(network))]


def _neurons(asked: Neurons) -> list[Part]:
    def look(network: nn.Module, shape: Shape) -> None:
        neurons_layer(network, shape, asked.neurons, asked.layer)

    return [("neurons", look)]


def _embedding(asked: Embedding) -> list[Part]:
    return [("layer", lambda network, shape: outputs_layer(network, asked.layer))]


def _saliency(asked: Saliency) -> list[Part]:
    def maps(network: nn.Module, shape: Shape) -> None:
        if asked.layer is not None:
            layer_named(network, asked.layer)
        else:
            last_maps(network, torch.empty((1, *shape), device="meta"))

    parts: list[Part] = []
    if "guided_backpropagation" in asked.methods:
        parts.append(("methods", lambda network, shape: check_guided(network)))
    if "grad_cam" in asked.methods:
        parts.append(("methods", maps))
    return parts


CHECKS: dict[type[AnalysisSettings], Callable[[Any], list[Part]]] = {
    Filters: _filters,
    Neurons: _neurons,
    Embedding: _embedding,
    Saliency: _saliency,
}
"""What an analysis needs of a network; those that are not here suit all."""

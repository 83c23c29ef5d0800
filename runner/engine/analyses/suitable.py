"""Whether an analysis says something of a network, before the network has weights.

Two images go through the network on the meta device, where nothing is computed. What is looked for
stands beside each analysis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from runner.components.analyses.analysis import AnalysisSettings
from runner.components.models.classifier import UnknownLayer
from runner.components.settings import Settings
from runner.engine.analyses import ANALYSES
from runner.engine.inspection.layers import NotSuitable
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
    check = ANALYSES[type(asked)].check
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

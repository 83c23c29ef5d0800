"""The figures of the analyses `filters` and `neurons`, of the arrays that they leave of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.report.figures import pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def filters(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    """Return the filters before and after training.

    Args:
        title: begins those of the figures.
        arrays: that the analysis left.
    """
    layer = str(arrays["layer"][0])
    return {"": pictures.filters(f"{title}: filters", layer, arrays["before"], arrays["after"])}


def neurons(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    """Return the weights of the neurons, of images in colour once more in colour.

    Args:
        title: begins those of the figures.
        arrays: that the analysis left.
    """
    layer, numbers = str(arrays["layer"][0]), arrays["neurons"].tolist()
    title = f"{title}: neurons"
    found = {"": pictures.neurons(title, layer, numbers, arrays["summed"])}
    if arrays["color"].shape[3] == 3:
        found["color"] = pictures.neurons(title, layer, numbers, arrays["color"])
    return found

"""Sizes of the layers of a network, as the values of an analysis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from runner.components.analyses.sizes import NETWORK, Sizes
from runner.components.models import Model
from runner.core.records import AnalysisValue
from runner.engine.analyses.result import AnalysisResult, NetworkInput
from runner.engine.inspection.receptive_fields import Field
from runner.engine.inspection.sizes import LayerSize, NetworkSizes, called_layers, network_sizes


def sizes(subject: NetworkInput, asked: Sizes) -> AnalysisResult:
    """Return the sizes of each call of a layer, and of the whole network."""
    found = network_sizes(subject.settings.model, subject.shape, subject.num_classes)
    values = [
        AnalysisValue(name, float(value), {"layer": layer})
        for layer, named in _places(found)
        for name, value in named.items()
    ]
    return AnalysisResult(tuple(values))


def layer_names(model: Model, shape: tuple[int, int, int], num_classes: int) -> list[str]:
    """Return the names at which the layers of a network have sizes; none is computed.

    Args:
        model: its settings.
        shape: channels, height, width of an image.
        num_classes: of the data.
    """
    return _named_calls(called_layers(model, shape, num_classes))


def _places(found: NetworkSizes) -> Iterator[tuple[str, dict[str, float]]]:
    names = _named_calls(row.layer for row in found.layers)
    for name, row in zip(names, found.layers, strict=True):
        yield name, {**_counts(row), **_of_field(row.field)}
    yield NETWORK, {**_counts(found), **_of_field(found.last_field)}


def _named_calls(layers: Iterable[str]) -> list[str]:
    """Return a name for each call: that of the layer, of further calls with their number."""
    calls: Counter[str] = Counter()
    names = []
    for layer in layers:
        calls[layer] += 1
        names.append(layer if calls[layer] == 1 else f"{layer} (call {calls[layer]})")
    return names


def _counts(of: LayerSize | NetworkSizes) -> dict[str, float]:
    return {name: getattr(of, name) for name in ("parameters", "trainable", "multiply_adds")}


def _of_field(field: Field | None) -> dict[str, float]:
    if field is None:
        return {}
    sides = (*field.size, *field.stride)
    names = ("field_height", "field_width", "stride_height", "stride_width")
    return dict(zip(names, sides, strict=True))

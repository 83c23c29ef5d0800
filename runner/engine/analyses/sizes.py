"""Sizes of the layers of a network, as the values of an analysis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runner.components.analyses.sizes import NETWORK, Sizes
from runner.components.models import Model
from runner.core.records import AnalysisValue
from runner.engine.analyses.result import AnalysisResult, NetworkInput
from runner.engine.inspection.receptive_fields import Field
from runner.engine.inspection.sizes import LayerSize, NetworkSizes, network_sizes


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
    """Return the layers at which a network has sizes.

    Args:
        model: its settings.
        shape: channels, height, width of an image.
        num_classes: of the data.
    """
    return [layer for layer, _ in _places(network_sizes(model, shape, num_classes))]


def _places(found: NetworkSizes) -> Iterator[tuple[str, dict[str, float]]]:
    calls: Counter[str] = Counter()
    for row in found.layers:
        calls[row.layer] += 1
        number = calls[row.layer]
        layer = row.layer if number == 1 else f"{row.layer} (call {number})"
        yield layer, {**_counts(row), **_of_field(row.field)}
    yield NETWORK, {**_counts(found), **_of_field(found.last_field)}


def _counts(of: LayerSize | NetworkSizes) -> dict[str, float]:
    return {name: getattr(of, name) for name in ("parameters", "trainable", "multiply_adds")}


def _of_field(field: Field | None) -> dict[str, float]:
    if field is None:
        return {}
    sides = (*field.size, *field.stride)
    names = ("field_height", "field_width", "stride_height", "stride_width")
    return dict(zip(names, sides, strict=True))

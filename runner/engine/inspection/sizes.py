"""Sizes of the layers of a network, without data and without memory for its weights.

Owns what a row is: each call of a layer without layers inside, and layers that hold weights of
their own beside those inside. Receptive fields come from ``receptive``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from runner.components.models import Model
from runner.components.models.counting_net import MultiplyAdds
from runner.components.models.shapes_net import output_on_meta
from runner.engine.inspection.receptive_fields import Field, receptive_fields
from runner.engine.network.freezing import find_frozen
from runner.engine.network.layout import network_on_meta

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class LayerSize:
    """One call of a layer, on one image.

    Attributes:
        layer: its name in the network.
        kind: its class.
        parameters: its weights, and those of what is inside and has no row; 0 in further calls.
        trainable: those that are trained.
        multiply_adds: of its convolutions and products of matrices.
        output: shape of what it makes of one image; () where that is no tensor.
        field: its receptive field, or None where that is not known.
    """

    layer: str
    kind: str
    parameters: int
    trainable: int
    multiply_adds: int
    output: tuple[int, ...]
    field: Field | None


@dataclass(frozen=True, slots=True)
class NetworkSizes:
    """The layers of a network, in the order in which an image goes through them.

    Attributes:
        layers: the rows.
        parameters: of the whole network.
        trainable: those that are trained.
        multiply_adds: of the whole network, for one image.
        unknown: why some receptive fields are not known, or "".
    """

    layers: tuple[LayerSize, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    unknown: str

    @property
    def last_field(self) -> Field | None:
        """The field of the last layer whose units see different parts; None where not known."""
        if self.unknown:
            return None
        fields = [row.field for row in self.layers if row.field is not None]
        return next((each for each in reversed(fields) if any(each.stride)), None)


def network_sizes(model: Model, shape: Shape, num_classes: int) -> NetworkSizes:
    """Return the sizes of a model's network for images of a shape.

    Args:
        model: its settings.
        shape: channels, height, width.
        num_classes: of the data.

    Raises:
        UnknownLayer: for a frozen layer or a cut that the network lacks.
        ValueError: when the network does not fit the images, or everything is frozen.
        RuntimeError: when the images are too small.
    """
    network = network_on_meta(model, shape, num_classes).eval()
    frozen = find_frozen(network, model.freeze)
    calls = _calls(network, shape)
    owned = _owned(network, {call.layer for call in calls.ended})
    fields = receptive_fields(network, shape)
    seen: dict[str, int] = {}
    layers = []
    for call in calls.ended:
        number = seen.get(call.layer, 0)
        seen[call.layer] = number + 1
        own = owned.get(call.layer, {}) if number == 0 else {}
        trainable = sum(size for name, size in own.items() if not frozen.holds(name))
        row = LayerSize(
            call.layer,
            call.kind,
            sum(own.values()),
            trainable,
            call.multiply_adds,
            call.output,
            fields.by_call.get((call.layer, number)),
        )
        layers.append(row)
    sums = [sum(getattr(row, each) for row in layers) for each in ("parameters", "trainable")]
    return NetworkSizes(tuple(layers), sums[0], sums[1], calls.multiply_adds, fields.unknown)


def called_layers(model: Model, shape: Shape, num_classes: int) -> list[str]:
    """Return the layer of each row of :func:`network_sizes`, without any size: much sooner.

    Args:
        model: its settings.
        shape: channels, height, width.
        num_classes: of the data.

    Raises:
        ValueError: when the network does not fit the images.
        RuntimeError: when the images are too small.
    """
    network = network_on_meta(model, shape, num_classes).eval()
    return [call.layer for call in _calls(network, shape).ended]


@dataclass
class _Call:
    """A call of a layer.

    Attributes:
        inner: operations of calls inside, which count there.
    """

    layer: str
    kind: str
    begun: int
    inner: int = 0
    multiply_adds: int = 0
    output: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Calls:
    """The calls of all rows for one image, in the order in which they end, and what they sum to.

    The sum holds what is computed outside of all rows as well.
    """

    ended: list[_Call]
    multiply_adds: int


def _calls(network: nn.Module, shape: Shape) -> _Calls:
    """Let an image go through a network on the meta device."""
    counter = MultiplyAdds()
    open_calls: list[_Call] = []
    ended: list[_Call] = []

    def before(layer: nn.Module, _: Any) -> None:
        name = names[id(layer)]
        open_calls.append(_Call(name, type(layer).__name__, counter.total))

    def after(_: nn.Module, __: Any, output: Any) -> None:
        call = open_calls.pop()
        done = counter.total - call.begun
        if open_calls:
            open_calls[-1].inner += done
        call.multiply_adds = done - call.inner
        call.output = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
        ended.append(call)

    names = {id(layer): name for name, layer in network.named_modules() if _has_row(layer)}
    hooks: list[Any] = []
    for layer in network.modules():
        if id(layer) in names:
            hooks.append(layer.register_forward_pre_hook(before))
            hooks.append(layer.register_forward_hook(after))
    try:
        output_on_meta(network, shape, counter)
    finally:
        for hook in hooks:
            hook.remove()
    return _Calls(ended, counter.total)


def _has_row(layer: nn.Module) -> bool:
    """Return whether a layer is one without layers inside, or holds weights itself."""
    children = any(True for _ in layer.children())
    return not children or any(True for _ in layer.parameters(recurse=False))


def _owned(network: nn.Module, rows: set[str]) -> dict[str, dict[str, int]]:
    """Return the weights of each row by name: those of layers without one belong to the next out.

    Layers that never are called, such as the projection inside torch's attention, have none.
    """
    owned: dict[str, dict[str, int]] = {}
    for name, parameter in network.named_parameters():
        row = next(each for each in _around(name) if each in rows)
        owned.setdefault(row, {})[name] = parameter.numel()
    return owned


def _around(name: str) -> Iterator[str]:
    """Yield the names of the layers that a weight is in, from the inside, the network last."""
    steps = name.split(".")[:-1]
    for end in range(len(steps), -1, -1):
        yield ".".join(steps[:end])

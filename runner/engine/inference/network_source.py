"""A network as lines of Python, for scripts that are plain PyTorch.

Owns which layers can be written. What is written is read from the network as it is built, so that
it can be no other one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runner.components.models.torchvision_model import TorchvisionModel
from runner.components.settings import Settings
from runner.core.errors import UsageError
from runner.engine.data.samples import evaluation_batch_size
from runner.engine.network.drawing import may_draw
from runner.engine.network.freezing import Frozen, find_frozen
from runner.engine.network.layout import network_on_meta

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class NetworkSource:
    """What a script says of a network.

    Attributes:
        lines: of a list of layers, or () for a network of torchvision.
        frozen: names of layers and weights that are not trained.
        draws: whether a forward pass in training may draw random numbers.
        evaluation_size: images of a batch that is evaluated.
        fresh: names of tensors that pretrained weights do not give.
        url: of torchvision's pretrained weights, or "".
    """

    lines: tuple[str, ...]
    frozen: tuple[str, ...]
    draws: bool
    evaluation_size: int
    fresh: tuple[str, ...] = ()
    url: str = ""


def _conv(layer: Any) -> str:
    (side, _), (stride, _), (padding, _) = layer.kernel_size, layer.stride, layer.padding
    more = f", stride={stride}" if stride != 1 else ""
    more += f", padding={padding}" if padding else ""
    return f"nn.Conv2d({layer.in_channels}, {layer.out_channels}, {side}{more})"


WRITERS: Mapping[type[nn.Module], Callable[[Any], str]] = {
    nn.Flatten: lambda layer: "nn.Flatten()",
    nn.Linear: lambda layer: f"nn.Linear({layer.in_features}, {layer.out_features})",
    nn.Conv2d: _conv,
    nn.BatchNorm1d: lambda layer: f"nn.BatchNorm1d({layer.num_features})",
    nn.BatchNorm2d: lambda layer: f"nn.BatchNorm2d({layer.num_features})",
    nn.ReLU: lambda layer: "nn.ReLU()",
    nn.LeakyReLU: lambda layer: "nn.LeakyReLU()",
    nn.GELU: lambda layer: "nn.GELU()",
    nn.SiLU: lambda layer: "nn.SiLU()",
    nn.Tanh: lambda layer: "nn.Tanh()",
    nn.MaxPool2d: lambda layer: f"nn.MaxPool2d({layer.kernel_size})",
    nn.AvgPool2d: lambda layer: f"nn.AvgPool2d({layer.kernel_size})",
    nn.AdaptiveAvgPool2d: lambda layer: f"nn.AdaptiveAvgPool2d({layer.output_size})",
    nn.AdaptiveMaxPool2d: lambda layer: f"nn.AdaptiveMaxPool2d({layer.output_size})",
    nn.Dropout: lambda layer: f"nn.Dropout({layer.p})",
}
"""Layers of `mlp` and `convnet`, with the arguments that these give them."""


def network_source(
    settings: Settings, shape: Shape, num_classes: int, weights: Path | None
) -> NetworkSource:
    """Return a run's network as source.

    Args:
        settings: of the run.
        shape: of an image.
        num_classes: of the data.
        weights: the file of its pretrained weights, or None.

    Raises:
        UsageError: for a layer that cannot be written.
        WeightsMismatch: for a file that does not match.
    """
    model = settings.model
    module = network_on_meta(model, shape, num_classes)
    frozen = find_frozen(module, model.freeze)
    draws = may_draw(module)
    size = evaluation_batch_size(shape, torch.device("cpu"))
    if not isinstance(model, TorchvisionModel):
        return NetworkSource(_lines(module), _numbered(module, frozen), draws, size)
    names = (*frozen.layers, *(each for each in sorted(frozen.parameters)))
    outer = tuple(name for name in names if not _is_inside(name, frozen.layers))
    if weights is None:
        return NetworkSource((), outer, draws, size)
    from runner.engine.network.weights import match_weights, public_weights, read_weights

    fresh = match_weights(model, module, read_weights(weights)).fresh
    named = isinstance(model.weights, str)
    url = public_weights(model.name, str(model.weights)).url if named else ""
    return NetworkSource((), outer, draws, size, fresh, url)


def _is_inside(name: str, layers: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{layer}.") for layer in layers)


def _leaves(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, each) for name, each in module.named_modules() if not any(each.children())]


def _lines(module: nn.Module) -> tuple[str, ...]:
    """Return the layers of nested lists as one list, each block with its name above it."""
    lines: list[str] = []
    block = ""
    for name, layer in _leaves(module):
        writer = WRITERS.get(type(layer))
        if writer is None:
            raise UsageError(
                f"this run uses a layer {type(layer).__name__}, for which no script is written"
            )
        if name.rpartition(".")[0] != block:
            block = name.rpartition(".")[0]
            lines += [f"# {block}"] if block else []
        lines.append(f"{writer(layer)},")
    return tuple(lines)


def _numbered(module: nn.Module, frozen: Frozen) -> tuple[str, ...]:
    """Return what is frozen as it is called in the one list: by numbers of layers."""
    found: list[str] = []
    for number, (name, layer) in enumerate(_leaves(module)):
        if frozen.holds(name):
            found.append(str(number))
        else:
            parts = [own for own, _ in layer.named_parameters()]
            found += [f"{number}.{own}" for own in parts if frozen.holds(f"{name}.{own}")]
    return tuple(found)

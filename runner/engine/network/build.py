"""Networks from settings: keyed initialisation, pretrained weights, frozen layers.

Owns the network's memory format and what is recorded of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from runner.components.models.classifier import num_outputs
from runner.components.models.pretrained import Pretrainable
from runner.components.settings import Settings
from runner.core.errors import StageFailed
from runner.engine.arithmetic import memory_format
from runner.engine.network.freezing import (
    Frozen,
    LayerCount,
    apply_frozen,
    count_layers,
    find_frozen,
)
from runner.engine.network.initial import initial_network
from runner.engine.network.layout import count_parameters
from runner.engine.network.own_split import frozen_split
from runner.engine.network.split import SplitNetwork

if TYPE_CHECKING:
    from runner.engine.context import Context
    from runner.engine.data.samples import Images
    from runner.engine.network.weights import WeightMatch

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Network:
    """A network with what of it is frozen.

    Attributes:
        module: all layers.
        active: what batches go through: all layers, or those behind the frozen prefix.
        frozen: what is not trained.
        eval_modules: frozen modules, which stay in eval mode while the others train.
        weight_match: which tensors pretrained weights gave, or None without.
        head: what evaluated batches go through where that is something else: the layers behind
            the frozen prefix; or None.
    """

    module: nn.Module
    active: nn.Module
    frozen: Frozen
    eval_modules: tuple[nn.Module, ...]
    weight_match: WeightMatch | None = None
    head: nn.Module | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        logits: Tensor = self.active(inputs)
        return logits

    def evaluated(self, inputs: Tensor) -> Tensor:
        """Return logits (B, classes) of a batch that is evaluated."""
        logits: Tensor = (self.active if self.head is None else self.head)(inputs)
        return logits

    def train(self) -> None:
        """Go into training mode, frozen layers excepted."""
        self.module.train()
        for module in self.eval_modules:
            module.eval()

    def eval(self) -> None:
        """Go into evaluation mode."""
        self.module.eval()

    def trainable(self) -> Iterator[nn.Parameter]:
        """Yield the weights that are trained."""
        return (each for each in self.module.parameters() if each.requires_grad)

    def split(self) -> SplitNetwork | None:
        """Return the network split behind its frozen prefix, or None when it has none."""
        return frozen_split(self.module, self.frozen)


def build_network(
    settings: Settings,
    shape: Shape,
    num_classes: int,
    device: torch.device,
    weights: Path | None = None,
    given: Collection[str] = (),
) -> Network:
    """Return the network before its first step, on the device, in its precision's memory format.

    Weights are drawn on the CPU from the run's seed, so that devices agree, and replaced by those
    of the file; the global random state is left as it was.

    Args:
        settings: of the run.
        shape: of an image.
        num_classes: of the data.
        device: where the network shall be.
        weights: a file of pretrained weights.
        given: names of weights and buffers that the caller puts in or does not need: when nothing
            is left to draw, nothing is drawn.

    Raises:
        WeightsMismatch: for a file that does not match.
    """
    outputs = num_outputs(settings.model, num_classes)
    module, weight_match = initial_network(settings, shape, outputs, weights, given)
    frozen = find_frozen(module, settings.model.freeze)
    eval_modules = apply_frozen(module, frozen)
    form = memory_format(device, settings.train.precision)
    moved = module.to(device).to(memory_format=form)
    return Network(moved, moved, frozen, eval_modules, weight_match)


def network_for(
    context: Context, settings: Settings, images: Images, given: Collection[str] = ()
) -> Network:
    """Return the network of a stage, as :func:`build_network` does, for these images.

    Raises:
        StageFailed: when the file of pretrained weights is no longer what it was.
    """
    return network_of(context, settings, images.shape, len(images.classes), given)


def network_of(
    context: Context,
    settings: Settings,
    shape: tuple[int, int, int],
    num_classes: int,
    given: Collection[str] = (),
) -> Network:
    """Return the same, for images of this shape and so many classes, which need not be there.

    Raises:
        StageFailed: when the file of pretrained weights is no longer what it was.
    """
    weights = context.weights_path(settings)
    network = build_network(settings, shape, num_classes, context.device, weights, given)
    if weights is not None and isinstance(settings.model, Pretrainable):
        from runner.engine.network.weights import WeightsMismatch, check_file

        try:
            check_file(settings.model, weights)
        except WeightsMismatch as error:
            raise StageFailed(f"{error}; put it back, then --retry-failed") from None
    return network


def layer_counts(network: Network) -> list[LayerCount]:
    """Return the layers with weights, and how many of these are trained."""
    return count_layers(network.module, network.frozen)


def described(network: Network) -> dict[str, Any]:
    """Return what is recorded of a network: its layers, and what pretrained weights gave."""
    layers = layer_counts(network)
    values: dict[str, Any] = {"parameters": count_parameters(network.module)}
    values["layers"] = [[each.name, each.parameters, each.trainable] for each in layers]
    if network.weight_match is not None:
        values["loaded"] = list(network.weight_match.loaded)
        values["fresh"] = list(network.weight_match.fresh)
    return values


def copy_state(network: Network) -> dict[str, Tensor]:
    """Return a copy of weights and buffers, on their device, without those of frozen layers."""
    return {name: tensor.clone() for name, tensor in own_state(network).items()}


def own_state(network: Network) -> dict[str, Tensor]:
    """Return weights and buffers themselves, without those of frozen layers."""
    return {
        name: tensor.detach()
        for name, tensor in network.module.state_dict().items()
        if not network.frozen.holds(name)
    }


def load_state(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Copy weights and buffers into a network, keeping its memory format.

    Raises:
        RuntimeError: when they are not those of all layers that are not frozen.
    """
    wanted = {name for name in network.module.state_dict() if not network.frozen.holds(name)}
    if wanted != set(tensors):
        raise RuntimeError(f"other weights than expected: {sorted(wanted ^ set(tensors))[:6]}")
    network.module.load_state_dict(dict(tensors), strict=False)

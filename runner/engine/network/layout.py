"""What is known of a network before it exists: its sizes, its frozen prefix, what files give to it.

Networks are looked at on the meta device, without memory for their weights.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from runner.components.models import Model
from runner.components.models.classifier import num_outputs
from runner.components.models.counting_net import MultiplyAdds
from runner.components.models.layers_net import on_meta
from runner.components.models.own_model import OwnModel
from runner.components.models.pretrained import Pretrainable
from runner.components.models.shapes_net import output_on_meta
from runner.components.models.timm_model import TimmModel
from runner.components.models.timm_names import timm_version
from runner.components.settings import Settings
from runner.core.keys import content_key
from runner.engine.network.freezing import find_frozen
from runner.engine.network.own_layout import own_network
from runner.engine.network.own_split import frozen_split, split_own, split_timm
from runner.engine.network.split import SplitNetwork, features_shape, split_at_prefix
from runner.engine.network.tensors import tensors_digest

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """What is known of a network without memory for its weights.

    Attributes:
        parameters: number of weights, frozen ones included.
        multiply_adds: of convolutions and products of matrices for one image.
        cut: where the frozen prefix ends, or "".
        features: shape of one image's output of the prefix, or ().
        structure: digest of the prefix's operations, or "".
        unsplit: why frozen layers of an own network have no prefix, or "".
    """

    parameters: int
    multiply_adds: int
    cut: str = ""
    features: tuple[int, ...] = ()
    structure: str = ""
    unsplit: str = ""


@dataclass(frozen=True, slots=True)
class WeightsDigest:
    """What a file of weights gives to a network.

    Attributes:
        loaded: digest of the tensors that are taken.
        prefix: digest of those of the frozen prefix, or "" when some of it is initialised.
    """

    loaded: str
    prefix: str


def network_on_meta(model: Model, shape: Shape, num_classes: int) -> nn.Module:
    """Return a model's network for images of a shape, without memory for its weights.

    Raises:
        ValueError: when the network does not fit the images.
        RuntimeError: when the images are too small.
    """
    return on_meta(lambda: model.build(shape, num_outputs(model, num_classes)))


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters, trainable or not."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_multiply_adds(network: nn.Module, shape: Shape) -> int:
    """Return the multiply-adds of a network's convolutions and products of matrices for one image.

    Args:
        network: on the meta device, where nothing is computed; left in evaluation mode.
        shape: channels, height, width of the image.

    Raises:
        RuntimeError: when the image is too small.
    """
    counter = MultiplyAdds()
    output_on_meta(network.eval(), shape, counter)
    return counter.total


def network_layout(settings: Settings, shape: Shape, num_classes: int) -> Layout:
    """Return the layout of a network without allocating its weights.

    Raises:
        UnknownLayer: for a frozen layer or a cut that the network lacks.
        ValueError: when the network does not fit the images, or everything is frozen.
        RuntimeError: when the images are too small.
        OwnCodeFailed: when own code raises an error.
    """
    if isinstance(settings.model, OwnModel):
        outputs = num_outputs(settings.model, num_classes)
        own, multiply_adds = own_network(settings, shape, outputs)
        split, why = split_own(own, find_frozen(own, settings.model.freeze))
        parameters = count_parameters(own)
        try:
            return _layout(parameters, multiply_adds, split, shape, why)
        except Exception as error:  # own code, whose parts nobody has called by themselves
            why = f"what comes before its trained layers cannot be computed alone ({error})"
            return Layout(parameters, multiply_adds, unsplit=why)
    module = network_on_meta(settings.model, shape, num_classes)
    frozen = find_frozen(module, settings.model.freeze)
    counts = count_parameters(module), count_multiply_adds(module, shape)
    if isinstance(settings.model, TimmModel):
        split, why = split_timm(module, frozen)
        try:
            found = _layout(*counts, split, shape, why)
        except Exception as error:  # timm's parts, of which not all are made to be called alone
            return Layout(*counts, unsplit=f"forward_features cannot be computed alone ({error})")
        builder = [settings.model.name, timm_version(), found.structure]
        return replace(found, structure=content_key("structure", builder)) if found.cut else found
    return _layout(*counts, split_at_prefix(module, frozen), shape)


def _layout(
    parameters: int, multiply_adds: int, split: SplitNetwork | None, shape: Shape, why: str = ""
) -> Layout:
    if split is None:
        return Layout(parameters, multiply_adds, unsplit=why)
    return Layout(
        parameters=parameters,
        multiply_adds=multiply_adds,
        cut=split.cut,
        features=features_shape(split, shape),
        structure=hashlib.sha256(str(split.prefix).encode()).hexdigest(),
    )


def weights_digest(settings: Settings, shape: Shape, num_classes: int, path: Path) -> WeightsDigest:
    """Return the digests of the tensors that a file gives to the network.

    Raises:
        WeightsMismatch: for a file that does not match.
        UnknownLayer: for a pattern in `missing` that no layer has.
    """
    from runner.engine.network.weights import is_counter, match_weights, read_weights

    model = settings.model
    assert isinstance(model, Pretrainable)
    tensors = read_weights(path)
    module = network_on_meta(model, shape, num_classes)
    match = match_weights(model, module, tensors)
    loaded = {name: tensors[name] for name in match.loaded}
    split = frozen_split(module, find_frozen(module, model.freeze))
    needed = [] if split is None else [name for name in split.tensors if not is_counter(name)]
    whole = bool(needed) and all(name in loaded for name in needed)
    return WeightsDigest(
        loaded=tensors_digest(loaded),
        prefix=tensors_digest({name: loaded[name] for name in needed}) if whole else "",
    )


def outside_prefix(settings: Settings, shape: Shape, num_classes: int) -> frozenset[str]:
    """Return the names of the tensors that the frozen prefix of a network does not need.

    Of an own network and of timm's, none: it is always built whole.
    """
    if isinstance(settings.model, OwnModel | TimmModel):
        return frozenset()
    module = network_on_meta(settings.model, shape, num_classes)
    split = split_at_prefix(module, find_frozen(module, settings.model.freeze))
    needed = () if split is None else split.tensors
    return frozenset(module.state_dict().keys() - set(needed))

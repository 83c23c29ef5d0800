"""The weights that a network begins with: drawn from the seed, loaded from a file, or neither.

To draw the weights of a large network takes longer than to read them: where all of them come from
elsewhere, none are drawn. Owns which draws are left out, and of which networks: those made of
torch's and torchvision's layers alone, whatever other layers may do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from runner.components.models.layers_net import on_meta
from runner.components.models.pretrained import Pretrainable
from runner.components.settings import Settings
from runner.core.keys import keyed_seed

if TYPE_CHECKING:
    from runner.engine.network.weights import WeightMatch

Shape = tuple[int, int, int]
Tensors = Mapping[str, Tensor]
Initial = tuple[nn.Module, "WeightMatch | None"]
"""A network on the CPU, and which of its tensors a file of pretrained weights gave."""

KNOWN = ("torch.", "torchvision.")


def initial_network(
    settings: Settings,
    shape: Shape,
    outputs: int,
    weights: Path | None,
    given: Collection[str] = (),
) -> Initial:
    """Return a network with its initial weights; the global random state is left as it was.

    Args:
        settings: of the run.
        shape: of an image.
        outputs: width of the last layer.
        weights: a file of pretrained weights.
        given: names of weights and buffers that the caller puts in afterwards.

    Raises:
        WeightsMismatch: for a file that does not match.
    """
    tensors = _tensors(settings, weights)
    match: WeightMatch | None = None
    if given or tensors is not None:
        with torch.random.fork_rng(devices=[]):
            module = on_meta(lambda: settings.model.build(shape, outputs))
        match = _match(settings, module, tensors)
        loaded = () if match is None else match.loaded
        if module.state_dict().keys() <= {*given, *loaded} and _is_in_its_state(module):
            return _loaded(module.to_empty(device="cpu"), match, tensors)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_seed(settings.seed, "init"))
        module = settings.model.build(shape, outputs)
        settings.model.initialise(module)
    return _loaded(module, match, tensors)


def _is_in_its_state(module: nn.Module) -> bool:
    """Return whether a network is its structure and the tensors of its state, each held once."""
    parameters = module.named_parameters(remove_duplicate=False)
    tensors = [*parameters, *module.named_buffers(remove_duplicate=False)]
    return (
        all(type(each).__module__.startswith(KNOWN) for each in module.modules())
        and module.state_dict().keys() == {name for name, _ in tensors}
        and len({id(each) for _, each in tensors}) == len(tensors)
        and not any(
            isinstance(each, Tensor) for one in module.modules() for each in vars(one).values()
        )
    )


def _tensors(settings: Settings, weights: Path | None) -> Tensors | None:
    if weights is None or not isinstance(settings.model, Pretrainable):
        return None
    from runner.engine.network.weights import read_weights

    return read_weights(weights)


def _match(settings: Settings, module: nn.Module, tensors: Tensors | None) -> WeightMatch | None:
    if tensors is None or not isinstance(settings.model, Pretrainable):
        return None
    from runner.engine.network.weights import match_weights

    return match_weights(settings.model, module, tensors)


def _loaded(module: nn.Module, match: WeightMatch | None, tensors: Tensors | None) -> Initial:
    if match is not None and tensors is not None:
        module.load_state_dict({name: tensors[name] for name in match.loaded}, strict=False)
    return module, match

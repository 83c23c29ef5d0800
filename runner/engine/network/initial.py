"""The weights that a network begins with: drawn from the seed, loaded from a file, or neither.

To draw the weights of a large network takes longer than to read them: where all of them come from
elsewhere, none are drawn. Owns which draws are left out, and of which networks: those made of
torch's and torchvision's layers alone, whatever other layers may do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from runner.components.models.torchvision_model import TorchvisionModel
from runner.components.settings import Settings
from runner.core.keys import keyed_seed

if TYPE_CHECKING:
    from runner.engine.network.weights import WeightMatch

Shape = tuple[int, int, int]
Tensors = Mapping[str, Tensor]
Initial = tuple[nn.Module, "WeightMatch | None"]
"""A network on the CPU, and which of its tensors a file of pretrained weights gave."""

DRAWS = frozenset(
    {
        *("uniform_", "normal_", "trunc_normal_", "orthogonal_"),
        *("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"),
    }
)
"""Names of methods of tensors and of functions of ``torch.nn.init`` that draw; they take a tensor
first."""

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
    is_given = bool(given) or tensors is not None
    found = _undrawn(settings, shape, outputs, tensors, given) if is_given else None
    return found or _drawn(settings, shape, outputs, tensors)


def _drawn(settings: Settings, shape: Shape, outputs: int, tensors: Tensors | None) -> Initial:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_seed(settings.seed, "init"))
        module = settings.model.build(shape, outputs)
        settings.model.initialise(module)
    match = _match(settings, module, tensors)
    return _loaded(module, match, tensors)


def _undrawn(
    settings: Settings,
    shape: Shape,
    outputs: int,
    tensors: Tensors | None,
    given: Collection[str],
) -> Initial | None:
    """Return the same without draws where all that is drawn is given or loaded, else None."""
    with torch.random.fork_rng(devices=[]), _WithoutDraws():
        module = settings.model.build(shape, outputs)
    if not all(type(each).__module__.startswith(KNOWN) for each in module.modules()):
        return None
    names = module.state_dict().keys()
    if not names >= {name for name, _ in module.named_buffers()}:
        return None  # a buffer that is not saved may hold draws
    match = _match(settings, module, tensors)
    loaded = () if match is None else match.loaded
    return _loaded(module, match, tensors) if names <= {*given, *loaded} else None


def _tensors(settings: Settings, weights: Path | None) -> Tensors | None:
    if weights is None or not isinstance(settings.model, TorchvisionModel):
        return None
    from runner.engine.network.weights import read_weights

    return read_weights(weights)


def _match(settings: Settings, module: nn.Module, tensors: Tensors | None) -> WeightMatch | None:
    if tensors is None or not isinstance(settings.model, TorchvisionModel):
        return None
    from runner.engine.network.weights import match_weights

    return match_weights(settings.model, module, tensors)


def _loaded(module: nn.Module, match: WeightMatch | None, tensors: Tensors | None) -> Initial:
    if match is not None and tensors is not None:
        module.load_state_dict({name: tensors[name] for name in match.loaded}, strict=False)
    return module, match


class _WithoutDraws(TorchFunctionMode):
    """Leaves tensors as they are that would be filled with random numbers."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        values = kwargs or {}
        if getattr(func, "__name__", "") in DRAWS:
            return args[0] if args else values["tensor"]
        return func(*args, **values)

"""The frozen prefix of an own network: by a trace, else by `forward_features` and `forward_head`.

That of a network of timm is always the latter. Own code may do in `forward` what a trace does not
show. Owns what is refused at once for that; what is left is a proposal, which holds where a probe
has found the two parts to be the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, fx, nn

from runner.components.models.layers_net import LeafTracer
from runner.components.own.loading import PREFIX
from runner.engine.network.freezing import Frozen
from runner.engine.network.split import SplitNetwork, ends_of_prefix, parts_of, split_at_prefix

METHODS = ("forward_features", "forward_head")
CONSTANT = "_tensor_constant"
"""How torch.fx calls tensors that `forward` makes by itself: a trace would hold the first for
all."""


def is_own(network: nn.Module) -> bool:
    """Return whether a network is of the user's own class."""
    return type(network).__module__.startswith(PREFIX)


def is_of_timm(network: nn.Module) -> bool:
    """Return whether a network is one of timm's."""
    return type(network).__module__.startswith("timm.")


def frozen_split(network: nn.Module, frozen: Frozen) -> SplitNetwork | None:
    """Return any network split behind its frozen prefix, or None when it has none."""
    if is_own(network):
        return split_own(network, frozen)[0]
    if is_of_timm(network):
        return split_timm(network, frozen)[0]
    return split_at_prefix(network, frozen)


def split_own(network: nn.Module, frozen: Frozen) -> tuple[SplitNetwork | None, str]:
    """Return an own network split behind its frozen prefix, and why it cannot be, or "".

    It has none either where its first layers are trained, which is no reason to be told.
    """
    if not frozen.parameters:
        return None, ""
    with _modes_kept(network):
        trained, evaluated = (_traced(network, frozen, mode) for mode in (True, False))
    if not isinstance(trained, str) and not isinstance(evaluated, str):
        return _split_traced(network, list(trained.nodes), list(evaluated.nodes), frozen), ""
    if all(callable(getattr(network, method, None)) for method in METHODS):
        return _split_by_methods(network, frozen), ""
    why = trained if isinstance(trained, str) else evaluated
    return None, f"torch.fx cannot trace it ({why}), and it has no {' and '.join(METHODS)}"


def split_timm(network: nn.Module, frozen: Frozen) -> tuple[SplitNetwork | None, str]:
    """Return a network of timm split behind `forward_features`, and why it cannot be, or "".

    Its layers are not traced: timm says itself where the features end. It has no prefix either
    where its first layers are trained, which is no reason to be told.
    """
    if next(name for name, _ in network.named_parameters()) not in frozen.parameters:
        return None, ""
    if not all(callable(getattr(network, method, None)) for method in METHODS):
        return None, f"it has no {' and '.join(METHODS)}"
    return _split_by_methods(network, frozen), ""


@contextmanager
def _modes_kept(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class _Tracer(LeafTracer):
    """Traces only what holds frozen layers and others: all else is called as it is."""

    def __init__(self, network: nn.Module, frozen: Frozen) -> None:
        super().__init__()
        self.called: set[str] = set()
        for name, module in network.named_modules():
            weights = [each for each, _ in module.named_parameters(prefix=name)]
            if frozen.holds(name) or (weights and not any(map(frozen.holds, weights))):
                self.called.add(name)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a module is one node of the graph."""
        is_called = module_qualified_name in self.called
        return is_called or super().is_leaf_module(m, module_qualified_name)


def _traced(network: nn.Module, frozen: Frozen, training: bool) -> fx.Graph | str:
    """Return the graph of a network in a mode, or why there is none."""
    network.train(training)
    for name in frozen.layers:
        network.get_submodule(name).eval()
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        try:
            graph = _Tracer(network, frozen).trace(network)
        except Exception as error:  # whatever own code raises where it is given no numbers
            said = str(error).strip() or type(error).__name__
            return said.splitlines()[0].rstrip(".:")
        finally:
            made = [name for name in vars(network) if name.startswith(CONSTANT)]
            for name in made:
                delattr(network, name)
        if not torch.equal(before, torch.get_rng_state()):
            return "its forward draws numbers that decide what it does"
    return "its forward makes tensors of its own" if made else graph


def _split_traced(
    network: nn.Module, trained: list[fx.Node], evaluated: list[fx.Node], frozen: Frozen
) -> SplitNetwork | None:
    """Return a network split at the last place that training and evaluation have in common."""
    common = 0
    for one, other in zip(trained, evaluated, strict=False):
        if _text(one) != _text(other):
            break
        common += 1
    evaluated_ends = dict(ends_of_prefix(network, evaluated, frozen))
    for last, cut in ends_of_prefix(network, trained, frozen):
        if last < common and evaluated_ends.get(last) == cut:
            prefix, head = parts_of(network, trained, last)
            _, in_evaluation = parts_of(network, evaluated, last)
            is_same = head.code == in_evaluation.code
            by_mode = head if is_same else _ByMode(network, head, in_evaluation)
            return SplitNetwork(cut, prefix, by_mode, tuple(prefix.state_dict()))
    return None


def _text(node: fx.Node) -> tuple[str, str, str, str]:
    return node.op, str(node.target), str(node.args), str(node.kwargs)


class _ByMode(nn.Module):
    """What follows the prefix, where `forward` does other things in training.

    The network itself says in which mode it is; it is no part of this module.
    """

    def __init__(self, network: nn.Module, trained: nn.Module, evaluated: nn.Module) -> None:
        super().__init__()
        self._parts = (network, trained, evaluated)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        network, trained, evaluated = self._parts
        logits: Tensor = (trained if network.training else evaluated)(features)
        return logits


def _split_by_methods(network: nn.Module, frozen: Frozen) -> SplitNetwork:
    prefix, head = (_Method(getattr(network, method)) for method in METHODS)
    for number, name in enumerate(frozen.layers):
        prefix.add_module(f"layer{number}", network.get_submodule(name))
    for number, name in enumerate(sorted(frozen.parameters)):
        prefix.register_parameter(f"weight{number}", network.get_parameter(name))
    tensors = tuple(name for name in network.state_dict() if frozen.holds(name))
    return SplitNetwork(METHODS[0], prefix, head, tensors)


class _Method(nn.Module):
    """A method of a network; of its layers, it has those that are put into it."""

    def __init__(self, method: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._method = method

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the method gives."""
        return self._method(inputs)

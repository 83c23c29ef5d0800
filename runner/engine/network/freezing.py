"""Which layers a policy freezes: names and patterns matched with a built network.

Owns the meaning of `model.freeze`. A frozen layer is in eval mode and its weights get no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from runner.components.models.classifier import Freeze, UnknownLayer


class EmptyPolicy(ValueError):
    """A policy that freezes every weight of a network, or none."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What is frozen of a network.

    Attributes:
        layers: names of modules in eval mode; those inside them are too.
        parameters: names of weights without gradient.
    """

    layers: tuple[str, ...] = ()
    parameters: frozenset[str] = frozenset()

    def holds(self, name: str) -> bool:
        """Return whether a layer or weight is frozen."""
        return name in self.parameters or any(
            name == layer or name.startswith(f"{layer}.") for layer in self.layers
        )


@dataclass(frozen=True, slots=True)
class LayerCount:
    """One layer with weights of its own.

    Attributes:
        name: as in the network.
        parameters: number of its weights.
        trainable: of them, how many are trained.
    """

    name: str
    parameters: int
    trainable: int


def find_frozen(network: nn.Module, freeze: Freeze) -> Frozen:
    """Return what a policy freezes.

    Raises:
        UnknownLayer: for a pattern that matches no layer with weights.
        EmptyPolicy: when nothing is left to train.
    """
    if freeze == "none":
        return Frozen()
    names = _named(network, freeze) if isinstance(freeze, str) else _matching(network, freeze)
    held = Frozen(tuple(names))
    parameters = {name for name, _ in network.named_parameters() if held.holds(name)}
    if len(parameters) == sum(1 for _ in network.parameters()):
        shown = freeze if isinstance(freeze, str) else f"[{', '.join(freeze)}]"
        raise EmptyPolicy(f"freeze: {shown} leaves no weight of the network to train")
    if not parameters:
        raise EmptyPolicy(f"freeze: {freeze} finds no layer with weights before the classifier")
    layers = {name for name, _ in network.named_modules()}
    return Frozen(tuple(name for name in names if name in layers), frozenset(parameters))


def apply_frozen(network: nn.Module, frozen: Frozen) -> tuple[nn.Module, ...]:
    """Take the gradients of what is frozen away; return the modules that stay in eval mode."""
    for name, parameter in network.named_parameters():
        if frozen.holds(name):
            parameter.requires_grad_(False)
    return tuple(network.get_submodule(name) for name in frozen.layers)


def count_layers(network: nn.Module, frozen: Frozen) -> list[LayerCount]:
    """Return every layer that has weights of its own, in the order of the network."""
    counts = []
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False, prefix=name))
        if own:
            total = sum(each.numel() for each in own.values())
            held = sum(each.numel() for key, each in own.items() if frozen.holds(key))
            counts.append(LayerCount(name or "(network)", total, total - held))
    return counts


def _named(network: nn.Module, policy: str) -> list[str]:
    """Return the top-level layers and weights of a policy by name."""
    owners = [
        name for name, child in network.named_children() if any(True for _ in child.parameters())
    ]
    classifier = owners[-1]
    if policy == "classifier":
        return [classifier]
    children = [name for name, _ in network.named_children() if name != classifier]
    return children + [name for name, _ in network.named_parameters(recurse=False)]


def _matching(network: nn.Module, patterns: tuple[str, ...]) -> list[str]:
    """Return the layers and weights that patterns name, outermost only."""
    weights = [name for name, _ in network.named_parameters()]
    layers = [name for name, _ in network.named_modules() if name]
    found: list[str] = []
    for pattern in patterns:
        matching = [name for name in [*layers, *weights] if fnmatchcase(name, pattern)]
        if not any(
            weight == name or weight.startswith(f"{name}.")
            for name in matching
            for weight in weights
        ):
            raise UnknownLayer("freeze", pattern, _layers_with_weights(network))
        found += matching
    chosen = Frozen(tuple(dict.fromkeys(found)))
    return [
        name
        for name in chosen.layers
        if not any(name.startswith(f"{other}.") for other in chosen.layers)
    ]


def _layers_with_weights(network: nn.Module) -> list[str]:
    """Return the names of all layers that hold weights, themselves or inside."""
    return [
        name
        for name, module in network.named_modules()
        if name and any(True for _ in module.parameters())
    ]

"""What trainings that are done together hold once: frozen weights and the part that they form.

Owns when two networks are alike in that: to the bit. A frozen tensor is never written to, so that
several networks may hold the same one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from runner.engine.data.feature_samples import Opened
from runner.engine.network.build import Network
from runner.engine.training.loop import Part

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Types of whole numbers by their bytes."""


class Common:
    """What is held once.

    Attributes:
        features: that are open, for all who want them.
    """

    def __init__(self) -> None:
        self.features: Opened = {}
        self._tensors: dict[str, Tensor] = {}
        self._prefix: nn.Module | None = None

    def share_frozen(self, network: Network) -> None:
        """Let a network hold the frozen tensors of those before it, where they are equal."""
        for name, owner, kind in _held(network):
            tensors: dict[str, Tensor] = getattr(owner, kind)
            leaf = name.rpartition(".")[2]
            known = self._tensors.setdefault(name, tensors[leaf])
            if are_equal(known, tensors[leaf]):
                tensors[leaf] = known

    def part_of(self, network: Network) -> Part | None:
        """Return a network in two parts where its frozen prefix is that of those before it.

        The first network's is the one; None for a network with another prefix or none, or that
        trains on the prefix's outputs.
        """
        if network.active is not network.module:
            return None
        network.train()  # it is traced as it is trained
        split = network.split()
        if split is None:
            return None
        if self._prefix is None:
            self._prefix = split.prefix
        if not _compute_the_same(self._prefix, split.prefix):
            return None
        return Part(self._prefix, split.head)


def are_equal(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal to the bit and lie alike in memory."""
    if one is other:
        return True
    alike = (one.dtype, one.device, one.shape, one.stride())
    if alike != (other.dtype, other.device, other.shape, other.stride()):
        return False
    bits = BITS.get(one.element_size())
    return bits is not None and torch.equal(one.detach().view(bits), other.detach().view(bits))


def _held(network: Network) -> list[tuple[str, nn.Module, str]]:
    """Return the frozen weights and buffers: name, module that holds it, and as what it does."""
    return [
        (name, module, kind)
        for prefix, module in network.module.named_modules()
        for kind in ("_parameters", "_buffers")
        for leaf, tensor in getattr(module, kind).items()
        if tensor is not None
        and network.frozen.holds(name := f"{prefix}.{leaf}" if prefix else leaf)
    ]


def _compute_the_same(one: nn.Module, other: nn.Module) -> bool:
    if one is other:
        return True
    mine, theirs = one.state_dict(), other.state_dict()
    return (
        str(one) == str(other)
        and mine.keys() == theirs.keys()
        and all(are_equal(mine[name], theirs[name]) for name in mine)
    )

"""What a piece of work would ask of a GPU, counted without one: images are on the meta device.

A tensor there has a shape and no values, so whatever would have to wait for a value fails, as does
what makes a shape of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("meta")
FREE = ("aten.empty", "aten.new_empty", "aten.empty_like", "aten.unsqueeze_")
"""What makes a tensor and starts nothing, beside views."""


class Counted(TorchDispatchMode):
    """Counts while it is entered.

    Attributes:
        kernels: the names and the shapes of all that would run on the device.
        copies: the sizes in bytes of what goes to the device without waiting.
        blocking: the names of what would wait for the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[tuple[str, tuple[tuple[int, ...], ...]]] = []
        self.copies: list[int] = []
        self.blocking: list[str] = []

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        given = _tensors([args, named])
        if operation is torch.ops.aten._local_scalar_dense.default and _there(given):
            raise AssertionError("a value on the device is asked for, which waits for the device")
        result = operation(*args, **named)
        made = _tensors(result)
        name = str(operation)
        here = [each for each in given if each.device != DEVICE and each.ndim]
        if name.startswith(("aten._to_copy", "aten.copy_")) and here and _there(made):
            is_async = named.get("non_blocking", len(args) > 2 and args[2])
            if is_async:
                self.copies += [each.nbytes for each in here]
            else:
                self.blocking.append(name)
        elif name.startswith("aten.lift_fresh") and _there(made):
            self.blocking.append("a tensor of Python's numbers")
        elif here and _there(made + given):
            self.blocking.append(f"{name} with a tensor on the CPU")
        elif _there(made) and not operation.is_view and not name.startswith(FREE):
            self.kernels.append((name, tuple(tuple(each.shape) for each in made)))
        return result


def _tensors(values: Any) -> list[Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]


def _there(tensors: Sequence[Tensor]) -> bool:
    return any(each.device == DEVICE for each in tensors)

"""Checkpoints and weights as tensors in files: what they hold, and how it comes back.

Owns the names of tensors in a file. Nothing is pickled. Where the files lie, and that they appear
whole or not at all, is the business of `artifacts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from runner.artifacts.atomic import whole_file
from runner.artifacts.state_folder import put_state, whole_state
from runner.components.optimizers_net import TorchOptimizer
from runner.engine.network.tensors import write_tensors, write_weights


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training after an epoch, or within one.

    Attributes:
        tensors: all tensors, by prefixed name.
        values: everything else, JSON only.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, check: Callable[[], None] = lambda: None
) -> None:
    """Write a checkpoint and remove the one before it.

    Args:
        folder: of the checkpoint.
        checkpoint: what is written.
        check: called before it takes its place; what it raises leaves the one before it.

    Raises:
        OSError: when the disk is full; the one before it is kept, and nothing else.
    """
    put_state(
        folder, checkpoint.values, lambda path: write_tensors(path, checkpoint.tensors), check
    )


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint in ``folder``, or None when there is no whole one."""
    found = whole_state(folder)
    while found is not None:
        values, path = found
        try:
            return Checkpoint(load_file(path), values)
        except (OSError, ValueError, KeyError, SafetensorError):
            before, found = found, whole_state(folder)
            if found == before:  # else another process has just replaced it
                return None
    return None


def save_weights(
    path: Path, tensors: Mapping[str, Tensor], check: Callable[[], None] = lambda: None
) -> tuple[str, int]:
    """Write weights to a file that appears whole or not at all.

    Args:
        path: the file.
        tensors: the weights.
        check: called before it takes its place; what it raises leaves nothing.

    Returns:
        What `tensors_digest` gives for them, and the file's size in bytes.

    Raises:
        OSError: when it cannot be written (a full disk); nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        digest = write_weights(partial, tensors)
        size = partial.stat().st_size
        check()
    return digest, size


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under ``prefix.``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unprefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that stand under ``prefix.``, without it."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def optimizer_tensors(optimizer: TorchOptimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an optimizer's state as tensors by ``index.key``, and what is no tensor as JSON."""
    tensors: dict[str, Tensor] = {}
    others: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                others[f"{index}.{key}"] = value
    return tensors, others


def restore_optimizer(
    optimizer: TorchOptimizer, tensors: Mapping[str, Tensor], others: Mapping[str, Any]
) -> None:
    """Put back what :func:`optimizer_tensors` returned.

    Tensors of a parameter's shape get the parameter's memory format, as the optimizer itself would
    have made them.
    """
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **others}.items():
        index, _, key = name.partition(".")
        parameter = parameters[int(index)]
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value = torch.empty_like(parameter).copy_(value)
        state.setdefault(int(index), {})[key] = value
    packed = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": packed["param_groups"]})

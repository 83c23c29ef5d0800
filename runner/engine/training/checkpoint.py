"""Checkpoints and weights on disk: safetensors, and a small JSON with a checksum.

A checkpoint is written beside its place and renamed, the JSON last: a kill at any moment leaves the
previous one or the new one. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from runner.artifacts.atomic import flush, partial_path
from runner.artifacts.hashes import file_digest
from runner.core.moments import reached

JSON_NAME = "checkpoint.json"
FORMAT = 4
"""Raised when what a checkpoint holds changes; others are not continued."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training after an epoch.

    Attributes:
        tensors: all tensors, by prefixed name.
        values: everything else, JSON only.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove the one before it.

    The tensors' file is named after its digest: of two processes that write the same state, the
    JSON of one never speaks of the tensors of the other.

    Raises:
        OSError: when the disk is full; the one before it is kept, and nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    epoch = f"epoch-{checkpoint.values['epoch']}"
    tensors, described = partial_path(folder / epoch), partial_path(folder / JSON_NAME)
    name = ""
    try:
        _write(tensors, checkpoint.tensors)
        digest = file_digest(tensors)
        name = f"{epoch}-{digest[:16]}.safetensors"
        tensors.replace(folder / name)
        values = {**checkpoint.values, "format": FORMAT, "file": name, "sha256": digest}
        described.write_text(json.dumps(values))
        flush(described)
        reached("tensors in place, not described")
        before = _file_named(folder)
        described.replace(folder / JSON_NAME)
    except BaseException:
        _remove_unnamed(folder, tensors, described, folder / name)
        raise
    for old in folder.glob("epoch-*"):
        is_replaced = old.name == before and before != name
        is_other_epoch = not old.name.startswith((f"{epoch}-", f"{epoch}."))
        if is_replaced or is_other_epoch:  # of this epoch, another process may be writing one
            old.unlink(missing_ok=True)


def _remove_unnamed(folder: Path, *paths: Path) -> None:
    """Remove files of which the checkpoint in ``folder`` does not speak; the folder when empty."""
    for path in paths:
        if path.name != _file_named(folder) and path != folder:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _file_named(folder: Path) -> str:
    """Return the name of the tensors' file of the checkpoint in ``folder``, or ""."""
    try:
        return str(json.loads((folder / JSON_NAME).read_text())["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint in ``folder``, or None when there is no whole one."""
    try:
        values = json.loads((folder / JSON_NAME).read_text())
        path = folder / str(values["file"])
        if values["format"] != FORMAT or file_digest(path) != values["sha256"]:
            return None
        return Checkpoint(load_file(path), values)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def describe_checkpoint(folder: Path) -> Mapping[str, Any] | None:
    """Return the values of the checkpoint in ``folder`` without its tensors, None without one.

    Whether the tensors are whole is not looked at.
    """
    try:
        values = json.loads((folder / JSON_NAME).read_text())
        return values if values["format"] == FORMAT and (folder / values["file"]).exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint that is no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> int:
    """Write tensors to a file that appears whole or not at all; return its size in bytes.

    Raises:
        OSError: when it cannot be written (a full disk); nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial_path(path)
    try:
        _write(temporary, tensors)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path.stat().st_size


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a file, which is on the disk on return."""
    try:
        save_file({name: _saved(tensor) for name, tensor in tensors.items()}, path)
        flush(path)
    except SafetensorError as error:
        # safetensors tells the system's error in its text only
        is_full = f"os error {errno.ENOSPC}" in str(error) or "No space left" in str(error)
        code = errno.ENOSPC if is_full else errno.EIO
        raise OSError(code, f"cannot write {path}: {error}") from error


def _saved(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


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


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
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
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], others: Mapping[str, Any]
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

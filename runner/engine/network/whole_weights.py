"""Weights that runs keep, read and compared with what was recorded of them."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from runner.engine.network.tensors import tensors_digest


def whole_weights(path: Path, digest: str | None) -> dict[str, Tensor]:
    """Return the weights in a file, or none where it is gone, damaged or not what is recorded."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError):
        return {}
    return tensors if tensors_digest(tensors) == digest else {}

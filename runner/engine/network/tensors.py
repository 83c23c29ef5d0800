"""Tensors as bytes: their digest, and files of them in the safetensors format.

Owns the order of tensors in a file and what of them is digested. A file is digested while it is
written, tensor after tensor, so that nothing is read again and no second copy of all is held. Files
are read with the safetensors library, whose own writer gives the same bytes but no digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TYPES: dict[torch.dtype, str] = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Names in a header, in the order in which tensors of these types stand in a file."""

ALIGNMENT = 8
"""The header's length in bytes is a multiple of it."""

CHUNK_BYTES = 1 << 22
"""Digested and written at once, so that what is written is still in the processor's cache."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How tensors lie in a file.

    Attributes:
        head: all bytes before the first tensor.
        starts: where in the file each tensor begins, in the file's order.
    """

    head: bytes
    starts: Mapping[str, int]


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors to a file; return the file's SHA-256, in hexadecimal.

    Raises:
        OSError: when it cannot be written, as on a full disk.
    """
    layout = _layout(tensors)
    digest = hashlib.sha256(layout.head)
    with path.open("wb") as file:
        file.write(layout.head)
        for name in layout.starts:
            for chunk in _chunks(tensors[name]):
                digest.update(chunk)
                file.write(chunk)
    return digest.hexdigest()


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write the same file; return what :func:`tensors_digest` gives for the tensors.

    Raises:
        OSError: when it cannot be written, as on a full disk.
    """
    layout = _layout(tensors)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        file.write(layout.head)
        for name in sorted(tensors):
            digest.update(_described(name, tensors[name]))
            file.seek(layout.starts[name])
            for chunk in _chunks(tensors[name]):
                digest.update(chunk)
                file.write(chunk)
    return digest.hexdigest()


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(_described(name, tensors[name]))
        digest.update(_bytes(tensors[name]))
    return digest.hexdigest()


def _described(name: str, tensor: Tensor) -> bytes:
    return f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode()


def _layout(tensors: Mapping[str, Tensor]) -> _Layout:
    rank = {dtype: place for place, dtype in enumerate(TYPES)}
    names = sorted(tensors, key=lambda name: (rank[tensors[name].dtype], name))
    starts, end = {}, 0
    described = {}
    for name in names:
        tensor, start = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        starts[name] = start
        described[name] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    head = len(text).to_bytes(8, "little") + text
    return _Layout(head, {name: len(head) + start for name, start in starts.items()})


def _chunks(tensor: Tensor) -> Iterator[memoryview]:
    values = _bytes(tensor)
    for start in range(0, len(values), CHUNK_BYTES):
        yield values[start : start + CHUNK_BYTES]


def _bytes(tensor: Tensor) -> memoryview:
    """Return a tensor's values in the order of its indices, without a copy where they lie so."""
    host = _on_host(tensor.detach())
    if host.dtype == torch.bfloat16:  # which NumPy lacks
        host = host.view(torch.int16)
    return host.numpy().reshape(-1).view(np.uint8).data


def _on_host(tensor: Tensor) -> Tensor:
    """Return a tensor in the host's memory; waits for the current stream of a GPU alone."""
    if tensor.device.type != "cuda":
        return tensor if tensor.is_cpu else tensor.cpu()
    host = torch.empty_like(tensor, device="cpu", pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return host

"""How a device computes a stage: TF32, memory format, and whether it repeats itself to the byte.

Owns torch's switches for that. They are the whole process's, and one process does stages of
several precisions: they are set when a stage begins, and put back when it ends, well or badly.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from runner.components.settings import Precision
from runner.engine.pooling import SteadyPooling

CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
REPEATABLE_WORKSPACES = (":4096:8", ":16:8")
"""With one of these as its value, cuBLAS repeats itself."""

UNREPEATABLE = "does not have a deterministic implementation"
"""Part of torch's message about what it cannot repeat."""

NO_TF32 = "precision tf32 is computed as fp32 on {name}, which has no TF32"


def uses_tf32(device: torch.device, precision: Precision) -> bool:
    """Return whether products of this precision are rounded to TF32: on CUDA, from Ampere on."""
    if precision != "tf32" or device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def precision_notes(device: torch.device, name: str, precisions: Collection[str]) -> list[str]:
    """Return what a person should know of how these precisions are computed on a device.

    Args:
        device: where.
        name: of the device, for people.
        precisions: of the runs to do.
    """
    if "tf32" not in precisions or uses_tf32(device, "tf32"):
        return []
    return [NO_TF32.format(name=name)]


def memory_format(device: torch.device, precision: Precision) -> torch.memory_format:
    """Return how images and weights of convolutions lie in memory.

    Channels last is faster on a CPU and on tensor cores; on a GPU that computes in full fp32, and
    on mps, contiguous tensors are.
    """
    if device.type == "cpu":
        return torch.channels_last
    if device.type == "cuda" and (precision == "bf16" or uses_tf32(device, precision)):
        return torch.channels_last
    return torch.contiguous_format


def in_format(tensor: Tensor, form: torch.memory_format) -> Tensor:
    """Return a tensor in a memory format, where it is a batch of images or maps (B, C, H, W)."""
    return tensor.contiguous(memory_format=form) if tensor.ndim == 4 else tensor


def is_repeating(device: torch.device, deterministic: bool) -> bool:
    """Return whether a device is made to repeat itself where that is asked for.

    A CPU does so anyway, and torch has no such mode for mps.
    """
    return deterministic and device.type == "cuda"


@contextmanager
def computing(
    device: torch.device, precision: Precision, deterministic: bool = False
) -> Iterator[None]:
    """Let a device compute in a precision while entered, and repeat itself where that is asked for.

    What cannot repeat itself raises torch's RuntimeError, with ``UNREPEATABLE`` in its text.
    """
    with ExitStack() as undo:
        if device.type == "cuda":
            undo.enter_context(_products_in("tf32" if uses_tf32(device, precision) else "ieee"))
        if is_repeating(device, deterministic):
            undo.enter_context(_repeating())
        if device.type == "mps":  # whose poolings want sides that divide
            undo.enter_context(SteadyPooling())
        yield


@contextmanager
def _products_in(precision: str) -> Iterator[None]:
    cudnn: Any = torch.backends.cudnn
    cuda: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before = [each.fp32_precision for each in cuda]
    try:
        for each in cuda:
            each.fp32_precision = precision
        yield
    finally:
        for each, value in zip(cuda, before, strict=True):
            each.fp32_precision = value


@contextmanager
def _repeating() -> Iterator[None]:
    prepare_repeating()
    cudnn: Any = torch.backends.cudnn
    filling: Any = torch.utils.deterministic
    before = (cudnn.deterministic, cudnn.benchmark, filling.fill_uninitialized_memory)
    mode = torch.get_deterministic_debug_mode()
    try:
        cudnn.deterministic, cudnn.benchmark = True, False
        filling.fill_uninitialized_memory = False  # nothing here reads such memory
        # not use_deterministic_algorithms, which imports the compiler, for seconds
        torch.set_deterministic_debug_mode("error")
        with SteadyPooling():
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark, filling.fill_uninitialized_memory = before


def prepare_repeating() -> None:
    """Let cuBLAS repeat itself; this counts for a process that has not used CUDA yet."""
    if os.environ.get(CUBLAS_VARIABLE) not in REPEATABLE_WORKSPACES:
        os.environ[CUBLAS_VARIABLE] = REPEATABLE_WORKSPACES[0]

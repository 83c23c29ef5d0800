"""What may change rounding: the state of the process, and the numerics of each stage.

Equal numerics may go on from one another's trainings. Owns how many threads a stage has, which
follows from its network and the machine, never from what else the machine does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from runner.components.resolved import typed_settings
from runner.components.settings import Precision
from runner.core.stages import Prepare, Stage, multiply_adds_a_step
from runner.engine.arithmetic import (
    is_repeating,
    memory_format,
    precision_notes,
    prepare_repeating,
    uses_tf32,
)
from runner.engine.device import device_name

ENGINE = 2
"""Raised when the engine begins to round otherwise than before, on whatever device."""

MULTIPLY_ADDS_A_THREAD = 1 << 24
"""Multiply-adds of a batch from which a further thread pays: below, threads wait for another."""

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
GRAIN = 1 << 15
"""Elements of which torch gives at least so many to a thread."""
SMALL = 1 << 20
"""The bits of a number that is too small for full precision."""


@dataclass(frozen=True)
class Numerics:
    """The numerics of stages on a device, in this process.

    Attributes:
        device: where models run.
        cores: the most CPU threads that a stage may have.
        deterministic: whether a GPU is to repeat itself.
        flushes_denormal: whether numbers too small for full precision count as zero.
    """

    device: torch.device
    cores: int
    deterministic: bool = False
    flushes_denormal: bool = field(default_factory=lambda: _flushes_denormal())

    @property
    def device_name(self) -> str:
        """The device's name for records."""
        return device_name(self.device)

    def threads(self, stage: Stage) -> int:
        """Return how many CPU threads a stage has."""
        if isinstance(stage, Prepare):
            return self.cores
        return max(1, min(self.cores, multiply_adds_a_step(stage) // MULTIPLY_ADDS_A_THREAD))

    def of(self, stage: Stage) -> dict[str, Any]:
        """Return what may change the rounding of a stage, JSON only."""
        if isinstance(stage, Prepare):
            return self.of_machine()
        return self._of(self.threads(stage), typed_settings(stage.settings).train.precision)

    def of_machine(self) -> dict[str, Any]:
        """Return what may change the rounding of any stage."""
        return self._of(self.cores, "fp32")

    def notes(self, precisions: Collection[str]) -> list[str]:
        """Return what a person should know of how these precisions are computed here."""
        return precision_notes(self.device, self.device_name, precisions)

    def _of(self, threads: int, precision: Precision) -> dict[str, Any]:
        form = memory_format(self.device, precision)
        on_cpu = self.device.type == "cpu"
        return {
            "device": self.device_name,
            "torch": torch.__version__,
            "threads": threads if on_cpu else 0,
            "cpu": str(torch.backends.cpu.get_cpu_capability()) if on_cpu else "",
            "channels_last": form is torch.channels_last,
            "tf32": uses_tf32(self.device, precision),
            "cudnn": _cudnn_version() if self.device.type == "cuda" else 0,
            "compile": False,
            "deterministic": is_repeating(self.device, self.deterministic),
            "flush_denormal": self.flushes_denormal,
            "engine": ENGINE,
        }


def begin_numerics(
    device: torch.device, cores: int | None = None, deterministic: bool = False
) -> Numerics:
    """Set what this process computes with; return its numerics.

    Numbers too small for full precision count as zero: after some epochs Adam's moments are full of
    them, and a CPU takes a hundred times as long for each.

    Args:
        device: where models run.
        cores: the most CPU threads that a stage may have; :func:`available_cores` when not given.
        deterministic: whether a GPU is to repeat itself.
    """
    flush_denormals()
    if is_repeating(device, deterministic):
        prepare_repeating()
    return Numerics(device, available_cores() if cores is None else cores, deterministic)


def flush_denormals() -> None:
    """Let this thread, and all that it begins from now on, count such numbers as zero."""
    torch.set_flush_denormal(True)


def available_cores() -> int:
    """Return the threads that torch would take here, within the quota of a container."""
    cores = torch.get_num_threads()
    try:
        quota, period = CPU_QUOTA.read_text().split()
    except (OSError, ValueError):  # no container, or none with a quota
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


@contextmanager
def on_threads(number: int) -> Iterator[None]:
    """Let torch use so many CPU threads while entered."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _flushes_denormal() -> bool:
    """Return whether every thread of torch flushes: one that began before it was asked does not."""
    count = GRAIN * torch.get_num_threads()
    small = torch.full((count,), SMALL, dtype=torch.int32).view(torch.float32)
    return not bool((small * 0.5).view(torch.int32).any())


def _cudnn_version() -> int:
    found = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return int(found or 0)

"""Devices: the choice of one, its name, and the description of the environment."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from runner.components.models.timm_names import timm_version
from runner.core.errors import UsageError
from runner.engine.git_commit import commit_of

DEVICES = "cpu, cuda, cuda:0, …, mps"
MEMORY_QUOTA = Path("/sys/fs/cgroup/memory.max")


def choose_device(name: str | None) -> torch.device:
    """Return the device of that name, or the CUDA GPU when there is one.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or None to choose. An Apple GPU (mps) is used
            by its name only, since not everything is exact there.

    Raises:
        UsageError: when there is no such device here.
    """
    if name is None or name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device '{name}'", allowed=DEVICES) from None
    if device.type not in ("cpu", "cuda", "mps") or (device.type == "mps" and device.index):
        raise UsageError(f"the device '{name}' is not supported", allowed=DEVICES)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"no device '{name}' here: torch {torch.__version__} finds no CUDA GPU")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"no device '{name}' here: torch {torch.__version__} finds no Apple GPU")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"no device '{name}' here", allowed=f"cuda:0 to cuda:{count - 1}")
    return device


def gpus() -> tuple[str, ...]:
    """Return the names of all CUDA GPUs that are here."""
    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))


def device_name(device: torch.device) -> str:
    """Return the device's name for records: ``cpu``, ``mps`` or the CUDA GPU's model."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def device_memory(device: torch.device) -> int:
    """Return how many bytes of memory a device has in all, within the quota of a container."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    memory = int(psutil.virtual_memory().total)
    try:
        return min(memory, int(MEMORY_QUOTA.read_text()))
    except (OSError, ValueError):  # no container, or one without a quota
        return memory


@cache
def environment() -> dict[str, Any]:
    """Return versions, machine and code, for the record."""
    names = ("runner", "torch", "torchvision", "numpy", "pillow", "scikit-learn")
    versions = {name: _version(name) for name in names}
    if timm := timm_version():
        versions["timm"] = timm
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "commit": commit_of(Path.cwd()),
        "code": commit_of(Path(__file__).parent),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "not installed"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

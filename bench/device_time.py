"""For how long a GPU works while something is done, by torch's profiler."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import torch

Done = TypeVar("Done")

ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
"""Events of a trace in which a GPU works."""


def while_profiled(do: Callable[[], Done], synchronize: Callable[[], None]) -> tuple[Done, float]:
    """Do something; return what it returns, and for how many milliseconds a GPU worked meanwhile.

    Args:
        do: what is to be done.
        synchronize: waits for the GPU.
    """
    synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        done = do()
        synchronize()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    spans = [
        (each["ts"], each["ts"] + each["dur"]) for each in events if each.get("cat") in ON_DEVICE
    ]
    return done, covered(spans) / 1000


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of spans: what is under way at once counts once."""
    total, reached = 0.0, -math.inf
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total

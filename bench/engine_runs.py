"""Whole runs: where their time goes, what is left in an optimizer's state, and busy machines.

Owns the parts `runs`, `denormals`, `busy` and `slots` of bench/engine.py.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine_cases import CASES, write_case
from engine_watch import ASIDE, OTHER, PARTS
from measuring import ROOT, BenchFailed, environment_of, run_child, runner_command, with_range

HERE = Path(__file__).resolve()
EPOCHS = 100
QUICKSTART = ROOT / "experiments" / "quickstart.yaml"


def watched(
    name: str, data: Path | None, device: str, precision: str, repetitions: int
) -> dict[str, Any]:
    """Return the cells of whole runs of a training: seconds by part, page faults, memory."""
    found = [_watched_once(name, data, device, precision) for _ in range(repetitions)]
    parts = {
        part: statistics.median(each["seconds"][part] for each in found)
        for part in (*PARTS, OTHER, ASIDE)
    }
    second, third = ([each["faults"][number] for each in found] for number in (1, 2))
    loaded = sorted({module for each in found for module in each["modules"]})
    return {
        "images": "generated" if CASES[name].is_made(data) else "real",
        "epochs": len(found[0]["faults"]),
        "wall s": with_range([each["wall"] for each in found]),
        "CPU s": with_range([each["cpu"] for each in found]),
        **{f"{part}, s": f"{seconds:.2f}" for part, seconds in parts.items()},
        "CPU s until the first step": with_range([each["first_step_cpu"] for each in found]),
        "page faults of the second epoch": with_range(second, 0),
        "page faults of the third": with_range(third, 0),
        "most MiB": with_range([each["mib"] for each in found], 0),
        "loaded": ", ".join(loaded) or "neither",
    }


def _watched_once(
    name: str, data: Path | None, device: str, precision: str = "fp32"
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spec = write_case(name, folder, data, precision)
        answer = folder / "answer.json"
        words = ["run", spec.name, "--device", device]
        words += [] if data is None else ["--data", str(data)]
        watch = str(HERE.with_name("engine_watch.py"))
        command = [sys.executable, watch, str(answer), repr(time.monotonic()), device, "--", *words]
        spent = run_child(command, folder)
        found: dict[str, Any] = json.loads(answer.read_text())
    return {**found, "wall": spent.wall}


def count_denormals(spec: Path, data: Path | None, device: str) -> dict[str, Any]:
    """Return the cells of a training of many epochs: denormal numbers in the optimizer's state."""
    import torch
    from engine_pairs import make_sides

    from runner.engine.training.checkpoint import optimizer_tensors

    sides = make_sides(spec, data, torch.device(device))
    with sides.switches(False):
        for _ in range(EPOCHS):
            sides.engine.epoch()
    counted, total = 0, 0
    worst = ("", 0.0)
    tensors, _ = optimizer_tensors(sides.engine.state.optimizer)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        denormal = int(denormals(tensor))
        counted, total = counted + denormal, total + tensor.numel()
        worst = max(worst, (name, denormal / tensor.numel()), key=lambda each: each[1])
    return {
        "epochs": EPOCHS,
        "numbers in the state": total,
        "denormal": counted,
        "largest share of a tensor": f"{100 * worst[1]:.1f} %",
    }


def denormals(tensor: Any) -> int:
    """Return how many numbers of a float32 tensor are denormal, by their bits."""
    import torch

    bits = tensor.detach().cpu().contiguous().view(torch.int32)
    return int((((bits & 0x7F800000) == 0) & ((bits & 0x007FFFFF) != 0)).sum())


def busy(repetitions: int, threads: int | None) -> dict[str, list[float]]:
    """Return the wall seconds of the quickstart in three situations, in turns."""
    flags = ["--device", "cpu"]
    flags += [] if threads is None else ["--threads", str(threads)]
    situations: dict[str, Callable[[], float]] = {
        "alone": lambda: _quickstart(1, flags),
        "beside one busy process": lambda: _beside(flags),
        "two processes on one database": lambda: _quickstart(2, flags),
    }
    seconds: dict[str, list[float]] = {name: [] for name in situations}
    for _ in range(repetitions):
        for name, measure in situations.items():
            seconds[name].append(measure())
    return seconds


def slots(repetitions: int, device: str) -> dict[str, list[float]]:
    """Return the wall seconds of the quickstart with 60 epochs, by one to four processes."""
    flags = ["--device", device, "--set", "epochs=60"]
    seconds: dict[str, list[float]] = {}
    for _ in range(repetitions):
        for count in (1, 2, 4):
            name = "one process" if count == 1 else f"{count} processes"
            seconds.setdefault(name, []).append(_quickstart(count, flags))
    return seconds


def _beside(flags: list[str]) -> float:
    with _busy_process():
        return _quickstart(1, flags)


@contextmanager
def _busy_process() -> Iterator[None]:
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinning.kill()
        spinning.wait()


def _quickstart(processes: int, flags: list[str]) -> float:
    """Return the seconds until so many processes of the quickstart have ended."""
    with tempfile.TemporaryDirectory() as temporary:
        command = runner_command("run", str(QUICKSTART), *flags)
        started = time.perf_counter()
        children = [
            subprocess.Popen(
                command,
                cwd=temporary,
                env=environment_of(ROOT),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(processes)
        ]
        codes = [child.wait() for child in children]
        seconds = time.perf_counter() - started
    if any(codes):
        raise BenchFailed(f"the quickstart ended with {codes}")
    return seconds

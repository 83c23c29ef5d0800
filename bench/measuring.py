"""What the benches of the engine share: clocks, spreads, child processes, and results kept as JSON.

A result is a row of a table: cells by column, and where and when it was measured. Each case is
written by itself, so that one can be measured anew beside the others. `tools/docs.py` turns the
files into docs/performance.md. Knows no engine.
"""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
RESAMPLES = 2000


class BenchFailed(Exception):
    """A measurement that is worth nothing: the two sides did not do the same."""


@dataclass(frozen=True)
class Spent:
    """What a piece of work took.

    Attributes:
        wall: seconds.
        cpu: seconds of all threads, user and system.
        mib: the most memory of the process, in MiB; 0 where it was not looked at.
    """

    wall: float
    cpu: float
    mib: float = 0.0


class Clock:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        """Return what has passed."""
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def run_child(
    command: Sequence[str], folder: Path, code: Path = ROOT, checked: bool = True
) -> Spent:
    """Run a command with the program of ``code`` in a folder; return what its process took.

    Raises:
        BenchFailed: when it fails, with the end of what it said.
    """
    started = time.perf_counter()
    with (folder / "said.txt").open("wb") as said:
        child = subprocess.Popen(
            command, cwd=folder, env=environment_of(code), stdout=said, stderr=said
        )
        _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if checked and child.returncode:
        text = (folder / "said.txt").read_text(errors="replace")[-2000:]
        raise BenchFailed(f"{' '.join(command)} ended with {child.returncode}:\n{text}")
    return Spent(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def environment_of(code: Path) -> dict[str, str]:
    """Return the environment in which ``runner`` is that of a checkout."""
    others = os.environ.get("PYTHONPATH")
    path = str(code) if not others else os.pathsep.join((str(code), others))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}


def runner_command(*words: str) -> list[str]:
    """Return a command of the program."""
    return [sys.executable, "-m", "runner", *words]


def wait_passively() -> None:
    """Let OpenMP's threads leave their core while they wait, as the command line does."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def page_faults() -> int:
    """Return how often the kernel has given this process a page so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_mib() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median, by resampling; the same for the same values."""
    draw = random.Random(0)
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    return medians[RESAMPLES // 40], medians[-RESAMPLES // 40]


def with_interval(values: Sequence[float]) -> str:
    """Return the median of ratios, and its interval behind it."""
    low, high = interval(values)
    return f"{statistics.median(values):.2f} ({low:.2f}–{high:.2f})"


def with_range(values: Sequence[float], digits: int = 1) -> str:
    """Return the median, and the least and the most behind it where there are several."""
    median = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def machine(device: str = "cpu") -> str:
    """Return where something is measured, in one line: machine and versions."""
    import torch

    where = f"{processor()}, {os.cpu_count()} cores"
    if device != "cpu":
        where = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    system = f"{platform.system()} {platform.release()}"
    return (
        f"{where}; {system}, Python {platform.python_version()}, torch {torch.__version__},"
        f" torchvision {version('torchvision')}"
    )


def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def load() -> float:
    """Return how many programs wanted to compute in the last minute."""
    return os.getloadavg()[0]


def record(report: str, section: str, row: str, cells: Mapping[str, Any], where: str) -> None:
    """Write a row of a section, in place of an earlier one of that name, and print it.

    Args:
        report: name of the file in bench/results, without its end.
        section: of the report.
        row: what was measured.
        cells: what came out, by column; texts and numbers.
        where: machine and versions.
    """
    store = RESULTS / f"{report}.json"
    parts = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else {}
    made = {"on": str(date.today()), "load": round(load(), 1), "where": where}
    parts.setdefault(section, {})[row] = {"cells": dict(cells), **made}
    store.parent.mkdir(exist_ok=True)
    text = json.dumps(parts, indent=1, ensure_ascii=False) + "\n"
    store.write_text(text, encoding="utf-8")
    shown = ", ".join(f"{column}: {value}" for column, value in cells.items())
    print(f"{section} | {row}: {shown}", flush=True)


def write_report(
    report: str, title: str, titles: Mapping[str, str], about: Mapping[str, str]
) -> None:
    """Write the rows that :func:`record` has kept as bench/results/REPORT.md, a table a section.

    Args:
        report: name of the file, and of its command in bench/.
        title: of the report.
        titles: of the sections, in order, by name.
        about: a paragraph below each title, by the same names.
    """
    parts = json.loads((RESULTS / f"{report}.json").read_text(encoding="utf-8"))
    lines = [f"# {title}", ""]
    for name, heading in titles.items():
        rows = parts.get(name)
        if not rows:
            continue
        newest = list(rows.values())[-1]
        columns = list(newest["cells"])
        made = f"Written by `python bench/{report}.py {name}` on {newest['on']}: {newest['where']}."
        lines += [f"## {heading}", "", about[name], made, ""]
        lines += [f"| | {' | '.join(columns)} | load |", f"| --- {'| ---: ' * (len(columns) + 1)}|"]
        for each, found in rows.items():
            values = [str(found["cells"].get(column, "")) for column in columns]
            lines.append(f"| {each} | {' | '.join(values)} | {found['load']} |")
        lines.append("")
    (RESULTS / f"{report}.md").write_text("\n".join(lines), encoding="utf-8")

"""What it costs to hold what is read against what was hashed, in whole runs.

    python bench/checking.py --data FOLDER [--repetitions 5]

FOLDER holds Caltech-101. Each repetition runs one small training twice, with the checks and with
them left out, in turns and in fresh folders: cold (hash, decode, train, evaluate) and warm (another
learning rate on the pixels that are there). The checks are left out by patching them in the
processes of this command only. The measurement writes its own report, bench/results/checking.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results" / "checking.md"
GOALS = {"cold": 3.0, "warm": 1.0}
"""At most so many per cent of a run."""

SPEC = """\
name: checking
data: {{dataset: caltech101, validation: 0.5, resize: [{side}, {side}]{some}}}
model: {{name: convnet, filters: [16, 32, 64], batch_norm: true, linear: [64]}}
train: {{epochs: {epochs}, batch_size: 64, optimizer: {{name: adam, lr: 0.001}}}}
"""
RUNS: dict[str, list[str]] = {"cold": [], "warm": ["--set", "lr=0.002"]}

CHECKS: dict[str, Callable[..., Any]] = {
    "runner.artifacts.hashes._differs": lambda root, known, draw: False,
    "runner.components.data.files._is_digest": lambda content, digest: True,
    "runner.engine.data.pixels_index.is_whole": lambda path, checksum, digest: True,
    "runner.engine.data.pixels_index.checksum": lambda index: index.get("checksum", ""),
    "runner.engine.network.whole_weights.tensors_digest": lambda tensors: _Anything(),
}
"""What stands in for each check where it is left out."""

NAMES = {
    "runner.artifacts.hashes._differs": "the sample of files, at each command",
    "runner.components.data.files._is_digest": "the bytes of each image that is decoded",
    "runner.engine.data.pixels_index.is_whole": "the decoded pixels, once in each process",
    "runner.engine.data.pixels_index.checksum": "their index",
    "runner.engine.network.whole_weights.tensors_digest": "the weights that an evaluation loads",
}


class _Anything:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Timed:
    """A check that counts the CPU seconds of the threads in which it runs."""

    def __init__(self, check: Callable[..., Any]) -> None:
        self._check = check
        self.seconds: list[float] = []

    def __call__(self, *values: Any) -> Any:
        """Check."""
        started = time.thread_time()
        try:
            return self._check(*values)
        finally:
            self.seconds.append(time.thread_time() - started)


def measured(side: str, words: Sequence[str]) -> dict[str, Any]:
    """Run a command of the program in this process; return what it took, in seconds."""
    timed: dict[str, Timed] = {}
    for where, stand_in in CHECKS.items():
        module, _, name = where.rpartition(".")
        home = importlib.import_module(module)
        timed[where] = Timed(getattr(home, name))
        setattr(home, name, timed[where] if side == "with" else stand_in)
    from runner.cli.app import main

    sys.argv = ["runner", *words]
    started = time.perf_counter()
    before = _cpu()
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
    return {
        "wall": time.perf_counter() - started,
        "cpu": _cpu() - before,
        "checks": {where: sum(check.seconds) for where, check in timed.items()},
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def call(side: str, folder: Path, data: Path, options: Sequence[str]) -> dict[str, Any]:
    """Run the spec in a folder, in a process of its own; return what it took."""
    words = ["run", "spec.yaml", "--device", "cpu", "--data", str(data), *options]
    command = [sys.executable, __file__, "--side", side, "--", *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stderr.strip().splitlines()[-1])
    return found


def pairs(repetitions: int, data: Path, spec: str) -> dict[str, list[dict[str, Any]]]:
    """Return what each repetition took, by kind of run and side."""
    found: dict[str, list[dict[str, Any]]] = {run: [] for run in RUNS}
    for number in range(repetitions):
        with tempfile.TemporaryDirectory() as temporary:
            for run, options in RUNS.items():
                both: dict[str, Any] = {}
                for side in ("with", "without")[:: 1 if number % 2 else -1]:
                    folder = Path(temporary) / side
                    folder.mkdir(exist_ok=True)
                    (folder / "spec.yaml").write_text(spec, encoding="utf-8")
                    both[side] = call(side, folder, data, options)
                found[run].append(both)
                print(run, {side: round(both[side]["cpu"], 1) for side in both}, file=sys.stderr)
    return found


def report(found: dict[str, list[dict[str, Any]]], what: str) -> list[str]:
    """Return the report in Markdown.

    Args:
        found: what each repetition took.
        what: images and training, in words.
    """
    repetitions = len(found["cold"])
    lines = [
        "# What checking costs",
        "",
        f"Written by `python bench/checking.py` on {date.today()}: {platform.platform()},",
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}; {what};",
        f"{repetitions} pairs of runs with the checks and without, in turns; load at the end:"
        f" {os.getloadavg()[1]:.1f}.",
        "Goals: under 3 % of a cold run, under 1 % of a warm one.",
        "",
        "| run | median CPU s | median wall s | in the checks, CPU s | share of CPU time |"
        " pairs: CPU time | pairs: wall time |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [_row(run, each) for run, each in found.items()]
    lines += [
        "",
        "*Share* is the CPU time within the checks over that of the whole run: median and range."
        " *Pairs* are how much more",
        "a run with the checks took than the one without beside it: median and range; where the"
        " machine is busy, their range is",
        "that of its other work.",
        "",
        "| check | cold, CPU s | warm, CPU s |",
        "| --- | ---: | ---: |",
    ]
    for where, name in NAMES.items():
        seconds = [
            statistics.median(each["with"]["checks"][where] for each in found[run]) for run in RUNS
        ]
        lines.append(f"| {name} | {seconds[0]:.3f} | {seconds[1]:.3f} |")
    return lines


def _row(run: str, both: Sequence[dict[str, Any]]) -> str:
    checks = [sum(each["with"]["checks"].values()) for each in both]
    taken = [each["with"]["cpu"] for each in both]
    shares = [100 * one / all_ for one, all_ in zip(checks, taken, strict=True)]
    medians = [statistics.median(each["with"][clock] for each in both) for clock in ("cpu", "wall")]
    more = [
        _spread([100 * (each["with"][clock] / each["without"][clock] - 1) for each in both])
        for clock in ("cpu", "wall")
    ]
    shown = [f"{value:.1f}" for value in medians]
    return " | ".join(
        [f"| {run}", *shown, f"{statistics.median(checks):.2f}", _spread(shares), *more, ""]
    ).rstrip()


def _spread(shares: Sequence[float]) -> str:
    median, low, high = statistics.median(shares), min(shares), max(shares)
    return f"{median:.2f} % ({low:.2f} to {high:.2f})"


def main() -> int:
    """Measure, write the report, and return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RUNNER_DATA", "data")))
    parser.add_argument("--size", type=int, default=64, help="pixels of a side")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--per-class", type=int, help="at most so many images of each class")
    parser.add_argument("--side", choices=("with", "without"), help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        took = measured(options.side, options.words)
        print(json.dumps(took), file=sys.stderr)
        return 0
    some = "" if options.per_class is None else f", per_class: {options.per_class}"
    spec = SPEC.format(side=options.size, epochs=options.epochs, some=some)
    found = pairs(options.repetitions, options.data.resolve(), spec)
    which = "all images" if not some else f"the first {options.per_class} images of each class"
    what = f"{which} of Caltech-101 at {options.size}×{options.size} pixels, a small convnet"
    text = "\n".join(report(found, f"{what}, {options.epochs} epochs")) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(text)
    shares = {
        run: statistics.median(
            100 * sum(each["with"]["checks"].values()) / each["with"]["cpu"] for each in both
        )
        for run, both in found.items()
    }
    return int(any(shares[run] > goal for run, goal in GOALS.items()))


if __name__ == "__main__":
    sys.exit(main())

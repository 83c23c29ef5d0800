"""Whole runs of another checkout and of this one, in turns: seconds, and whether bytes are equal.

Owns the part `against` of bench/engine.py. Each run is a process of its own in a fresh folder. The
records of both sides are compared: every metric and the loss of every step.
"""

from __future__ import annotations

import json
import math
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import frozen
import planner
from engine_cases import CALTECH, CIFAR
from measuring import ROOT, Spent, run_child, runner_command, with_interval, with_range

AUGMENTED = """\
name: augmented
data: {dataset: imagefolder, path: subset, validation: 0.2, test: 0}
model: {name: convnet, filters: [32, 64], batch_norm: true}
train:
  epochs: 6
  batch_size: 128
  optimizer: {name: adam, lr: 0.001}
evaluate: {test: never}
sweep:
  rows:
    - augment:
        - {name: RandomHorizontalFlip}
        - {name: RandomCrop, size: 32, padding: 4}
    - augment:
        - {name: RandomHorizontalFlip}
        - {name: ColorJitter, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}
        - {name: RandomErasing}
"""


@dataclass(frozen=True)
class Whole:
    """A spec to run as a whole.

    Attributes:
        title: for the report.
        needs: what a folder of data must hold for it, or None.
        prepare: writes ``spec.yaml``, and images, into a folder; returns further words of `run`.
    """

    title: str
    needs: Path | None
    prepare: Callable[[Path, Path], list[str]]


def wholes() -> dict[str, Whole]:
    """Return the runs that are compared, by name: three sweeps, and every smoke profile."""
    found = {
        "patience": Whole("a patience grid of a small CNN", CIFAR, _patience),
        "frozen": Whole("two rates on a frozen AlexNet", CALTECH, _frozen),
        "augmented": Whole("two augmented trainings", CIFAR, _augmented),
    }
    for spec in sorted((ROOT / "experiments").glob("*.yaml")):
        found[f"smoke-{spec.stem}"] = _smoke(spec)
    return found


def _smoke(spec: Path) -> Whole:
    words = [str(spec), "--profile", "smoke", "--no-download"]
    return Whole(f"`{spec.stem}`, smoke", None, lambda folder, data: words)


def _patience(folder: Path, data: Path) -> list[str]:
    (folder / "spec.yaml").write_text(planner.PATIENCE, encoding="utf-8")
    planner.cifar_subset(data, folder / "subset")
    return ["spec.yaml"]


def _augmented(folder: Path, data: Path) -> list[str]:
    (folder / "spec.yaml").write_text(AUGMENTED, encoding="utf-8")
    planner.cifar_subset(data, folder / "subset", 200)
    return ["spec.yaml"]


def _frozen(folder: Path, data: Path) -> list[str]:
    frozen.write_small(folder, data)
    return ["spec.yaml", "--data", str(folder)]


def compared(
    whole: Whole, other: Path, data: Path | None, pairs: int, device: str
) -> dict[str, Any]:
    """Return the cells of a comparison: ratios of each pair, and how records differ."""
    spent: dict[str, list[Spent]] = {"other": [], "own": []}
    differences = []
    for number in range(pairs):
        order = ["other", "own"] if number % 2 == 0 else ["own", "other"]
        differences.append(_pair(whole, other, data, order, ["--device", device], spent))
    cells: dict[str, Any] = {"pairs": pairs}
    for clock, name in (("wall", "wall"), ("cpu", "CPU")):
        both = [[getattr(each, clock) for each in spent[side]] for side in ("other", "own")]
        cells[f"other, {name} s"] = with_range(both[0])
        cells[f"this, {name} s"] = with_range(both[1])
        cells[f"other ÷ this, {name}"] = with_interval([a / b for a, b in zip(*both, strict=True)])
    cells["most MiB, other"] = f"{max(each.mib for each in spent['other']):.0f}"
    cells["most MiB, this"] = f"{max(each.mib for each in spent['own']):.0f}"
    cells["records"] = next((each for each in differences if each != "equal"), "equal")
    if cells["records"] != "equal" and device == "cpu":
        flags = ["--device", device, "--threads", "1"]
        cells["records, one thread"] = _pair(whole, other, data, ["other", "own"], flags, None)
    else:
        cells["records, one thread"] = cells["records"]
    return cells


def _pair(
    whole: Whole,
    other: Path,
    data: Path | None,
    order: list[str],
    flags: list[str],
    spent: dict[str, list[Spent]] | None,
) -> str:
    """Run both sides once; return "equal", or how their records differ."""
    code = {"other": other, "own": ROOT}
    records = {}
    for side in order:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            words = whole.prepare(folder, data or folder)
            took = run_child(runner_command("run", *words, *flags), folder, code[side])
            if spent is not None:
                spent[side].append(took)
            records[side] = read_records(folder / "results.db")
    return difference(records["other"], records["own"])


Records = dict[tuple[Any, ...], list[float]]


def read_records(path: Path) -> Records:
    """Return every number of every run by where it stands: metrics, and losses of steps."""
    found: Records = {}
    with closing(sqlite3.connect(path)) as database:
        for *where, value in database.execute(
            "select run_key, rerun, split, name, epoch, value from run_metrics"
        ):
            found[tuple(where)] = [value]
        for key, rerun, epoch, rate, losses in database.execute(
            "select run_key, rerun, epoch, learning_rate, losses from run_steps"
        ):
            found[key, rerun, "steps", "losses", epoch] = [rate, *_losses(losses)]
    return found


def _losses(stored: Any) -> list[float]:
    values = json.loads(stored)
    return [math.nan if each is None else float(each) for each in values]


def difference(one: Records, other: Records) -> str:
    """Return "equal", or in words how the records of two sides differ."""
    if not one or one.keys() != other.keys():
        alone = len(one.keys() ^ other.keys())
        return f"{alone} of {len(one.keys() | other.keys())} entries on one side alone"
    largest, count = 0.0, 0
    for where, values in one.items():
        others = other[where]
        if len(values) != len(others):
            return f"{where[2]} {where[3]} of epoch {where[4]}: other numbers of steps"
        for left, right in zip(values, others, strict=True):
            if left != right and not (math.isnan(left) and math.isnan(right)):
                count += 1
                largest = max(largest, abs(left - right))
    if not count:
        return "equal"
    total = sum(map(len, one.values()))
    return f"{count} of {total} numbers differ, by {largest:.1g} at most"

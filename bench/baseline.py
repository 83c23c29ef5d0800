"""The usual script beside `runner run` of the same sweep.

    python bench/baseline.py --data FOLDER                    all three sweeps
    python bench/baseline.py --only patience --workers 2      one of them, one number of workers

The script (bench/plain_script.py, and bench/plain_frozen.py for the frozen AlexNet) is one process
for each cell, as people do it. Both sides take the images from the same files; FOLDER has CIFAR-10
and Caltech-101. Each sweep writes its rows into bench/results/baseline.json, from which
`python tools/docs.py` makes docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import frozen
import planner
from engine_cases import CALTECH, CIFAR
from measuring import BenchFailed, machine, record, run_child, runner_command, with_range

HERE = Path(__file__).resolve().parent
REPORT = "baseline"
EACH = 100
"""Images of each class of CIFAR-10."""

PATIENCE = f"""\
name: patience
data: {{dataset: imagefolder, path: subset, validation: 0.2, test: 0}}
model: {{name: convnet, filters: [16, 32], linear: [64]}}
train: {{epochs: 40, batch_size: 128, optimizer: {{name: adam, lr: 0.002}}}}
evaluate: {{test: never}}
sweep: {{grid: {{early_stopping: [{", ".join(f"{{patience: {n}}}" for n in (2, 5, 10))}]}}}}
"""
AUGMENTED = """\
name: augmented
data: {dataset: imagefolder, path: subset, validation: 0.2, test: 0}
model: {name: convnet, filters: [32, 64], batch_norm: true}
train:
  epochs: 10
  batch_size: 128
  optimizer: adam
  augment:
    - {name: RandomHorizontalFlip}
    - {name: RandomCrop, size: 32, padding: 4}
    - {name: ColorJitter, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}
evaluate: {test: never}
sweep: {grid: {lr: [0.001, 0.003]}}
"""


@dataclass(frozen=True)
class Sweep:
    """A sweep on both sides.

    Attributes:
        title: for the report.
        needs: what the folder of data must hold.
        prepare: writes images and ``spec.yaml`` into a folder.
        commands: returns the script's processes, for a folder and a number of workers.
        epochs: reads the epochs out of what such a process said.
    """

    title: str
    needs: Path
    prepare: Callable[[Path, Path], None]
    commands: Callable[[Path, Path, int], list[list[str]]]
    epochs: Callable[[str], int]


def _images(spec: str) -> Callable[[Path, Path], None]:
    def prepare(folder: Path, data: Path) -> None:
        (folder / "spec.yaml").write_text(spec, encoding="utf-8")
        planner.cifar_subset(data, folder / "subset", EACH)

    return prepare


def _scripts(
    cells: Sequence[dict[str, object]], **common: object
) -> Callable[[Path, Path, int], list[list[str]]]:
    def commands(folder: Path, data: Path, workers: int) -> list[list[str]]:
        shared = {"folder": str(folder / "subset"), "workers": workers, "batch": 128, **common}
        script = str(HERE / "plain_script.py")
        return [[sys.executable, script, json.dumps({**shared, **cell})] for cell in cells]

    return commands


def _said_epochs(said: str) -> int:
    found = re.search(r"^(\d+) ", said, re.MULTILINE)
    assert found is not None, said
    return int(found[1])


def _frozen_scripts(folder: Path, data: Path, workers: int) -> list[list[str]]:
    return [
        [
            *(sys.executable, str(HERE / "plain_frozen.py"), str(folder / "twenty")),
            *(str(data / frozen.WEIGHTS), str(rate), str(frozen.SMALL_EPOCHS)),
            *(str(workers), "whole", str(frozen.SMALL_BATCH)),
        ]
        for rate in frozen.RATES[:2]
    ]


SWEEPS = {
    "patience": Sweep(
        f"three patiences of a small CNN, {10 * EACH:,} images of CIFAR-10",
        CIFAR,
        _images(PATIENCE),
        _scripts(
            [{"patience": number} for number in (2, 5, 10)],
            **{"filters": [16, 32], "linear": [64], "batch_norm": False},
            **{"epochs": 40, "rate": 0.002, "augment": []},
        ),
        _said_epochs,
    ),
    "augmented": Sweep(
        f"two rates of an augmented CNN, {10 * EACH:,} images of CIFAR-10",
        CIFAR,
        _images(AUGMENTED),
        _scripts(
            [{"rate": rate} for rate in (0.001, 0.003)],
            **{"filters": [32, 64], "linear": [], "batch_norm": True},
            **{"epochs": 10, "patience": None, "augment": ["flip", "crop", "jitter"]},
        ),
        _said_epochs,
    ),
    "frozen": Sweep(
        "two rates on a frozen AlexNet, 300 images of Caltech-101",
        CALTECH,
        frozen.write_small,
        _frozen_scripts,
        lambda said: frozen.SMALL_EPOCHS,
    ),
}


def measure(sweep: Sweep, data: Path, workers: Sequence[int], repetitions: int) -> None:
    """Run both sides in turns, and write a row for each."""
    sides: dict[str, list[tuple[float, float, int]]] = {}
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            sweep.prepare(folder, data)
            command = runner_command("run", "spec.yaml", "--data", str(folder), "--device", "cpu")
            spent = run_child(command, folder)
            epochs = _wanted_epochs(folder)
            sides.setdefault("`runner run`", []).append((spent.wall, spent.cpu, epochs))
            for number in workers:
                took = _script(sweep, folder, data, number)
                sides.setdefault(f"the script, {number or 'no'} workers", []).append(took)
    base = statistics.median(wall for wall, _, _ in sides["`runner run`"])
    for side, found in sides.items():
        cells = {
            "epochs": statistics.median(epochs for _, _, epochs in found),
            "wall s": with_range([wall for wall, _, _ in found]),
            "CPU s": with_range([cpu for _, cpu, _ in found]),
            "epochs a second": with_range([epochs / wall for wall, _, epochs in found], 2),
            "× `runner run`": f"{statistics.median(wall for wall, _, _ in found) / base:.2f}",
        }
        record(REPORT, "sweeps", f"{sweep.title}: {side}", cells, machine())


def _script(sweep: Sweep, folder: Path, data: Path, workers: int) -> tuple[float, float, int]:
    """Return wall and CPU seconds of the script's processes, and the epochs that they trained."""
    wall = cpu = 0.0
    epochs = 0
    for command in sweep.commands(folder, data, workers):
        spent = run_child(command, folder)
        wall, cpu = wall + spent.wall, cpu + spent.cpu
        epochs += sweep.epochs((folder / "said.txt").read_text())
    return wall, cpu, epochs


def _wanted_epochs(folder: Path) -> int:
    """Return the epochs that all runs of a database have, shared ones counted for each."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "results.db")) as database:
        return int(database.execute("select count(*) from run_steps").fetchone()[0])


def main() -> int:
    """Measure the sweeps; return 1 when one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(SWEEPS))
    parser.add_argument("--workers", type=int, action="append")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RUNNER_DATA", "data")))
    options = parser.parse_args()
    data = options.data.resolve()
    unknown = [name for name in options.only if name not in SWEEPS]
    if unknown:
        parser.error(f"there is no {unknown[0]!r} to measure, but {', '.join(SWEEPS)}")
    try:
        for name in options.only:
            if not (data / SWEEPS[name].needs).is_dir():
                raise BenchFailed(f"no {SWEEPS[name].needs} in {data}")
            workers = options.workers or [2, 0]
            measure(SWEEPS[name], data, workers, options.repetitions)
    except BenchFailed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

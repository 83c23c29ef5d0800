"""What trainings save by being done together, step by step, on one stream of augmented batches.

    python bench/lockstep.py                     four rates, under each pipeline of report R1.4
    python bench/lockstep.py --rates 2,4,8       other numbers of rates

Each case is a sweep of learning rates on AlexNet, its convolutional part frozen, whose images are
augmented. Both sides are whole runs of the program, in turns, at one thread: `run`, which plans the
trainings as one cohort, and `run --disable train_together`. What they record must be equal to the
last digit, and so must the weights; where it is not, the exit code is 1. Measured are CPU seconds
and the most memory of the process; images are made up. The rows are written into
bench/results/lockstep.json.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from measuring import (
    ROOT,
    BenchFailed,
    Spent,
    machine,
    record,
    run_child,
    runner_command,
    with_range,
)

from runner.spec.experiment import load_experiment

REPORT = "lockstep"
ALONE = ("--disable", "train_together")
RATES = (0.01, 0.005, 0.002, 0.001, 0.02, 0.008, 0.004, 0.0005)
DATA = {
    **{"dataset": "synthetic", "classes": 20, "images": 512, "height": 224, "width": 224},
    **{"validation": 0.25, "test": 0.25},
}
ALEXNET = {"name": "alexnet", "freeze": "features"}
EPOCHS, BATCH_SIZE = 8, 64


def pipelines() -> dict[str, Any]:
    """Return the augmentations of R1.4, by label."""
    experiment = load_experiment(ROOT / "experiments" / "alexnet_augmentation.yaml")
    found = {}
    for cell in experiment.cells:
        augment = cell.settings.train.augment
        assert augment is not None
        found[cell.cell.labels["label"]] = json.loads(augment.model_dump_json(exclude_none=True))
    return found


def spec(
    augment: Any,
    count: int,
    model: Mapping[str, Any] = ALEXNET,
    data: Mapping[str, Any] = DATA,
) -> str:
    """Return a spec of so many learning rates; JSON is YAML."""
    train = {
        **{"epochs": EPOCHS, "batch_size": BATCH_SIZE, "drop_last": True, "augment": augment},
        "optimizer": {"name": "sgd", "momentum": 0.9},
    }
    content = {
        **{"name": "lockstep", "data": data, "model": model, "train": train},
        "sweep": {"grid": {"lr": RATES[:count]}},
    }
    return json.dumps(content)


def done(folder: Path, text: str, *flags: str) -> Spent:
    """Run a spec in a new folder; return what its process took."""
    folder.mkdir()
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return run_child(runner_command("run", "spec.yaml", "--threads", "1", *flags), folder)


def recorded(folder: Path) -> list[str]:
    """Return all numbers of the runs in a folder, and the digests of their weights."""
    queries = (
        "select run_key, epoch, learning_rate, losses from run_steps",
        "select * from run_metrics",
        "select name, digest from artifacts where name like 'weights/%'",
    )
    with closing(sqlite3.connect(folder / "results.db")) as database:
        return sorted(repr(row) for query in queries for row in database.execute(query))


def is_together(folder: Path) -> bool:
    """Return whether all trainings in a folder had begun before one of them can have ended."""
    query = (
        "select max(started) < min(started + seconds) from attempts"
        " join stages on stages.stage_key = attempts.stage_key where kind = 'train'"
    )
    with closing(sqlite3.connect(folder / "results.db")) as database:
        return bool(database.execute(query).fetchone()[0])


def measure(row: str, text: str, repetitions: int) -> dict[str, str]:
    """Do the runs of a spec together and each by itself, in turns; return cells of a table.

    Raises:
        BenchFailed: where a number or a byte of weights differs, or nothing was done together.
    """
    sides: dict[str, list[Spent]] = {"together": [], "alone": []}
    for turn in range(repetitions):
        order = ("together", "alone") if turn % 2 == 0 else ("alone", "together")
        with tempfile.TemporaryDirectory() as temporary:
            folders = {side: Path(temporary) / side for side in order}
            for side in order:
                sides[side].append(done(folders[side], text, *(ALONE if side == "alone" else ())))
            if is_together(folders["alone"]) or not is_together(folders["together"]):
                raise BenchFailed(f"{row}: not done together, or not one after the other")
            one, other = (recorded(each) for each in folders.values())
            if one != other or not one:
                raise BenchFailed(f"{row}: together the trainings are not what they are alone")
    ratios = [
        alone.cpu / together.cpu
        for alone, together in zip(sides["alone"], sides["together"], strict=True)
    ]
    cells = {"gain": f"{statistics.median(ratios):.2f} ×"}
    for side, spent in sides.items():
        cells[f"{side}, CPU s"] = with_range([each.cpu for each in spent])
        cells[f"{side}, MiB"] = f"{max(each.mib for each in spent):.0f}"
    return {**cells, "numbers compared": str(len(one))}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rates", default="4", help="numbers of learning rates, at most 8 each")
    parser.add_argument("--only", default="", help="CS-HF, H-RP, B-GS-R")
    parser.add_argument("--repetitions", type=int, default=1)
    options = parser.parse_args(words)
    try:
        for label, augment in pipelines().items():
            if options.only and label not in options.only.split(","):
                continue
            for count in map(int, options.rates.split(",")):
                row = f"AlexNet frozen, {label}, {count} rates"
                cells = measure(row, spec(augment, count), options.repetitions)
                record(REPORT, "whole runs", row, cells, f"{machine()}, 1 thread")
    except BenchFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Seconds that whole commands take on a database of 1,000 runs of 100 epochs.

    python bench/cli.py [--repetitions 7] [--keep FOLDER]

Each command is a process of its own, beside `python -c pass` as the baseline. The measurement
writes its own report, bench/results/cli.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from runner.core.records import EpochRecord, Metric
from runner.core.stages import Stage
from runner.lower.stages import make_run, naive_chain
from runner.spec.experiment import load_experiment
from runner.store.catalogue import SpecRecord, record_environment, record_experiment
from runner.store.chains import RunStages
from runner.store.claim_answers import Claimed
from runner.store.claims import NewAttempt, claim_stage
from runner.store.database import Database, open_database
from runner.store.recorder import end_attempt, record_epochs
from runner.store.results import record_result

RESULTS = Path(__file__).resolve().parent / "results" / "cli.md"
GOAL_SECONDS = 1.0
RUNS, EPOCHS, STEPS = 1000, 100, 10
SPEC = f"""\
name: bench
data: {{dataset: digits}}
model: {{name: mlp}}
train: {{epochs: {EPOCHS}}}
seeds: [0, 1, 2, 3]
sweep:
  grid:
    lr: [{", ".join(f"{number / 1000}" for number in range(1, 51))}]
    dropout: [0.0, 0.1, 0.2, 0.3, 0.4]
tables:
  bench:
    LR: lr
    DROPOUT: dropout
    MAX_VAL_ACC: {{metric: val_accuracy, at: max}}
    TEST_ACC: {{metric: test_accuracy, at: best, mark: max}}
    GAP: {{metric: train_accuracy - val_accuracy, at: last}}
"""


def fill_database(path: Path, spec: Path) -> None:
    """Record made-up results for every run of a spec, through the program's own functions."""
    experiment = load_experiment(spec)
    database = open_database(path)
    environment = record_environment(database, {"versions": {"runner": "bench"}})
    runs = [make_run(item.settings, "bench") for item in experiment.cells]
    chains = {
        run.run_key: naive_chain(run, item.settings)
        for run, item in zip(runs, experiment.cells, strict=True)
    }
    assert len(chains) == RUNS
    record_experiment(
        database,
        SpecRecord(
            name=experiment.name,
            variant="",
            about="",
            path=str(spec),
            document=experiment.document,
            source=experiment.source,
        ),
        keyed_cells=[
            (item.cell, run.run_key) for run, item in zip(runs, experiment.cells, strict=True)
        ],
        wanted=runs,
        chains={key: RunStages(chain, chain[1].key, 0) for key, chain in chains.items()},
    )
    for number, (run_key, chain) in enumerate(chains.items()):
        for stage in chain:
            do_stage(database, stage, environment, number)
        record_result(database, run_key, 0)
    database.close()


def do_stage(database: Database, stage: Stage, environment: int, number: int) -> None:
    """Record one stage as done, unless it is already."""
    claim = claim_stage(database, stage.key, NewAttempt(environment, {}, "cpu"))
    if not isinstance(claim, Claimed):
        return
    outcome: dict[str, object] = {}
    measured: list[Metric] = []
    if stage.kind == "train":
        record_epochs(database, claim, list(epochs(number)))
        reads = [[claim.attempt_id, 1, EPOCHS]]
        last = {"best_epoch": EPOCHS, "last_epoch": EPOCHS}
        outcome = {"reads": reads, "parameters": 1000, **last}
    elif stage.kind == "evaluate":
        outcome = {"reads": [[claim.attempt_id, EPOCHS, EPOCHS]]}
        measured = [Metric(EPOCHS, "test", name, 0.5) for name in ("loss", "accuracy")]
    end_attempt(database, claim, "done", 1.0, outcome, measured=measured)


def epochs(number: int) -> Iterator[EpochRecord]:
    """Yield the epochs of a run: four metrics each, and the losses of ten steps."""
    for epoch in range(1, EPOCHS + 1):
        value = (number * 31 + epoch) % 97 / 97
        names = [(split, name) for split in ("train", "val") for name in ("loss", "accuracy")]
        metrics = tuple(Metric(epoch, split, name, value) for split, name in names)
        yield EpochRecord(epoch, metrics, (value,) * STEPS, 0.1, 0.5)


def seconds_of(command: Sequence[str], folder: Path, repetitions: int) -> list[float]:
    """Return the wall seconds of each repetition, after one that is not counted."""
    measured = []
    for _ in range(repetitions + 1):
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        measured.append(time.perf_counter() - started)
    return measured[1:]


def commands(spec: Path) -> dict[str, list[str]]:
    """Return the measured commands by the name they have in the report."""
    runner = [str(Path(sys.executable).parent / "runner")]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "runner --help": [*runner, "--help"],
        "runner validate": [*runner, "validate", str(spec)],
        "runner list": [*runner, "list"],
        "runner report --table": [*runner, "report", "--table", "bench"],
    }


def report(measured: dict[str, list[float]], repetitions: int) -> str:
    """Return the report in Markdown."""
    medians = {name: statistics.median(seconds) for name, seconds in measured.items()}
    baseline = next(iter(medians.values()))
    lines = [
        "# Seconds of whole commands",
        "",
        f"Written by `python bench/cli.py` on {date.today()}: {platform.platform()},",
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}; {RUNS:,} runs of {EPOCHS}"
        f" epochs, {repetitions} repetitions.",
        f"Goal: `report --table` under {GOAL_SECONDS:g} s.",
        "",
        "| command | median s | fastest s | slowest s | × baseline |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, seconds in measured.items():
        values = [medians[name], min(seconds), max(seconds)]
        shown = " | ".join(f"{value:.3f}" for value in values)
        lines.append(f"| `{name}` | {shown} | {medians[name] / baseline:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, write the report, and return 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="folder to build in, and leave")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        spec = folder / "bench.yaml"
        if not spec.exists():
            spec.write_text(SPEC, encoding="utf-8")
            fill_database(folder / "results.db", spec)
        measured = {
            name: seconds_of(command, folder, options.repetitions)
            for name, command in commands(spec).items()
        }
    text = report(measured, options.repetitions)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)
    return int(statistics.median(measured["runner report --table"]) > GOAL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

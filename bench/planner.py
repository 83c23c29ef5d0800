"""What planning costs and what it saves.

    python bench/planner.py scale                       seconds and memory of 10,000 runs
    python bench/planner.py patience --data FOLDER      a patience grid (needs CIFAR-10)
    python bench/planner.py rates                       six rows of learning rates, scaled down
    python bench/planner.py frozen --data FOLDER        four rates on a frozen AlexNet (Caltech-101)
    python bench/planner.py linear --data FOLDER        the same with one linear layer behind it

Each part runs both sides in fresh folders, checks that their records are equal, and writes its
part of bench/results/planner.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
PARTS = ("scale", "patience", "rates", "frozen", "linear")
RUNNER = [sys.executable, "-m", "runner"]

SCALE = """\
name: scale
data: {dataset: digits}
model: mlp
train: {epochs: 100, schedule: {name: step, step_size: 30}}
seeds: [0, 1, 2, 3]
sweep:
  grid:
    lr: [%s]
    dropout: [0.0, 0.1, 0.2, 0.3, 0.4]
    early_stopping: [null, {patience: 5}, {patience: 10}, {patience: 20}, {patience: 40}]
"""
PATIENCE = """\
name: patience
about: R4.3's patience rules in proportion, on a subset of CIFAR-10.
data: {dataset: imagefolder, path: subset, validation: 0.2, test: 0}
model: {name: convnet, filters: [16, 32], linear: [64]}
train: {epochs: 60, batch_size: 128, optimizer: {name: adam, lr: 0.002}}
evaluate: {test: never}
sweep:
  rows:
    - {early_stopping: {patience: 2}}
    - {early_stopping: {patience: 10}}
    - {early_stopping: {patience: 20}}
    - {early_stopping: {patience: 24}}
    - {early_stopping: {patience: 30}}
tables:
  patience: {PATIENCE: patience, STOPPED: last_epoch, BEST: best_epoch, VAL: val_accuracy}
"""
RATES = """\
name: rates
about: The six rows of report R1.1 on small generated images.
data: {dataset: synthetic, classes: 10, images: 2000, height: 32, width: 32, validation: 0.5}
model: {name: convnet, filters: [16, 32, 32], linear: [64]}
train: {batch_size: 256, drop_last: true, optimizer: {name: sgd, momentum: 0.9}, schedule: step}
sweep:
  rows:
    - {lr: 0.001, epochs: 30, step_size: 20, gamma: 0.1}
    - {lr: 0.005, epochs: 20, step_size: 10, gamma: 0.1}
    - {lr: 0.01, epochs: 30, step_size: 15, gamma: 0.1}
    - {lr: 0.05, epochs: 30, step_size: 20, gamma: 0.1}
    - {lr: 0.1, epochs: 30, step_size: 5, gamma: 0.5}
    - {lr: 0.05, epochs: 40, step_size: 20, gamma: 0.1}
"""


def call(words: Sequence[str], folder: Path, *flags: str) -> float:
    """Run a command of the program in a folder; return its wall seconds."""
    started = time.perf_counter()
    subprocess.run([*RUNNER, *words, *flags], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def epochs_trained(folder: Path) -> int:
    """Return how many epochs a database's trainings have computed."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "results.db")) as database:
        return int(database.execute("SELECT count(*) FROM steps").fetchone()[0])


def dump(folder: Path) -> str:
    """Return the canonical dump of a folder's database."""
    command = [*RUNNER, "db", "dump", "--canonical"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def compare(
    spec: str, repetitions: int, prepare: Callable[[Path], None] = lambda folder: None
) -> dict[str, object]:
    """Run a spec with sharing and without, in turns; return seconds, epochs and ratios."""
    seconds: dict[str, list[float]] = {"shared": [], "alone": []}
    epochs: dict[str, int] = {}
    for _ in range(repetitions):
        dumps = []
        for side, flags in (("shared", ()), ("alone", ("--no-share",))):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                (folder / "spec.yaml").write_text(spec, encoding="utf-8")
                prepare(folder)
                seconds[side].append(call(["run", "spec.yaml"], folder, *flags))
                epochs[side] = epochs_trained(folder)
                dumps.append(dump(folder))
        assert dumps[0] == dumps[1], "the records differ"
    return {"seconds": seconds, "epochs": epochs}


def scale(repetitions: int) -> list[str]:
    """Measure expanding and planning 10,000 runs, and a `run` when all of them are done."""
    rates = ", ".join(f"{number / 1000}" for number in range(1, 101))
    planned, again = [], []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "spec.yaml").write_text(SCALE % rates, encoding="utf-8")
            planned.append(_measured("plan", folder))
            _finish_all(folder)
            again.append(_measured("run", folder))
    return [
        "| what | median s | fastest s | slowest s | most MiB | aim |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        f"| `plan`: expand and plan 10,000 runs of 100 epochs | {_spread(planned)} |",
        f"| `run` over 10,000 finished runs | {_spread(again)} |",
    ]


def _spread(measured: Sequence[tuple[float, float]]) -> str:
    seconds = [each[0] for each in measured]
    shown = [f"{x:.2f}" for x in (statistics.median(seconds), min(seconds), max(seconds))]
    return " | ".join([*shown, f"{max(each[1] for each in measured):.0f}", "5 s, 1,024 MiB"])


def _measured(word: str, folder: Path) -> tuple[float, float]:
    """Return wall seconds and largest memory in MiB of a command."""
    code = (
        "import resource, sys, time\n"
        "started = time.perf_counter()\n"
        "from runner.cli.app import main\n"
        f"sys.argv = ['runner', {word!r}, 'spec.yaml', '--device', 'cpu']\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "print(time.perf_counter() - started, peak, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True
    )
    seconds, peak = done.stderr.strip().splitlines()[-1].split()
    return float(seconds), float(peak)


def _finish_all(folder: Path) -> None:
    """Record a made-up result for every run of the folder's spec."""
    import sqlalchemy as sa

    from runner.bind.bound_request import bind_request
    from runner.bind.late_numerics import LateNumerics
    from runner.bind.plan_runs import plan_runs
    from runner.bind.planned_records import record_wanted
    from runner.bind.request import Request
    from runner.store.schema import results

    request = Request([folder / "spec.yaml"], db=folder / "results.db", device="cpu")
    bound = bind_request(request)
    made_up = {
        "rerun": 0,
        "status": "done",
        "message": "",
        "best_epoch": 100,
        "last_epoch": 100,
        "parameters": 9000,
        "train_seconds": 1.0,
        "seconds": 1.0,
        "device": "cpu",
        "recorded": 0.0,
    }
    with bound.workspace.open() as database:
        planned = plan_runs(bound, database, LateNumerics(request))
        record_wanted(database, planned)
        rows = [{"run_key": key, **made_up} for key in planned.run_keys]
        with database.write() as connection:
            connection.execute(sa.insert(results), rows)


def rates(repetitions: int) -> list[str]:
    """Measure R1.1's six rows: 150 of 180 epochs are trained."""
    found = compare(RATES, repetitions)
    assert found["epochs"] == {"shared": 150, "alone": 180}, found["epochs"]
    return _table(found)


def patience(repetitions: int, data: Path) -> list[str]:
    """Measure a patience grid against its longest reader alone."""

    def prepare(folder: Path) -> None:
        cifar_subset(data, folder / "subset")

    found = compare(PATIENCE, repetitions, prepare)
    longest = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "spec.yaml").write_text(PATIENCE, encoding="utf-8")
            prepare(folder)
            longest.append(call(["run", "spec.yaml", "--only", "patience=30"], folder))
            epochs = epochs_trained(folder)
    assert found["epochs"]["shared"] == epochs, (found["epochs"], epochs)  # type: ignore[index]
    shared = found["seconds"]["shared"]  # type: ignore[index]
    ratio = statistics.median(shared) / statistics.median(longest)
    return [
        *_table(found),
        "",
        f"The longest reader alone trains {epochs} epochs in {statistics.median(longest):.1f} s"
        f" ({min(longest):.1f}–{max(longest):.1f}): all five together take {ratio:.2f} × that"
        " (aim: at most 1.1).",
    ]


def cifar_subset(data: Path, target: Path, each: int = 250) -> None:
    """Write a folder of class folders with the first images of each class of CIFAR-10."""
    from PIL import Image

    from runner.components.data.cifar import CIFAR10, read_batch

    target.mkdir()
    counts: dict[int, int] = {}
    batch = read_batch(data / CIFAR10.archive.folder / CIFAR10.train[0])
    for pixels, label in zip(batch["data"], batch["labels"], strict=True):
        number = counts.setdefault(label, 0)
        if number < each:
            counts[label] += 1
            home = target / str(label)
            home.mkdir(exist_ok=True)
            image = Image.fromarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0))
            image.save(home / f"{number:04d}.png")


def _table(found: dict[str, object]) -> list[str]:
    seconds, epochs = found["seconds"], found["epochs"]
    assert isinstance(seconds, dict)
    assert isinstance(epochs, dict)
    lines = [
        "| side | epochs | median s | fastest s | slowest s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for side, name in (("shared", "`run`"), ("alone", "`run --no-share`")):
        values = seconds[side]
        shown = " | ".join(
            f"{x:.1f}" for x in (statistics.median(values), min(values), max(values))
        )
        lines.append(f"| {name} | {epochs[side]} | {shown} |")
    ratios = [
        alone / shared for shared, alone in zip(seconds["shared"], seconds["alone"], strict=True)
    ]
    spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
    return [*lines, "", f"Faster by {statistics.median(ratios):.2f} × ({spread}); records equal."]


TITLES = {
    "scale": "Scale",
    "patience": "A patience grid on 2,500 images of CIFAR-10",
    "rates": "Six rows of learning rates, scaled down",
    "frozen": "Four rates on a frozen AlexNet, twenty classes of Caltech-101",
    "linear": "Four rates of one linear layer on a frozen AlexNet, twenty classes of Caltech-101",
}


def write(part: str, lines: Sequence[str]) -> None:
    """Put a part's lines into the report, beside those of other parts."""
    store = RESULTS / "planner.json"
    parts = json.loads(store.read_text()) if store.is_file() else {}
    where = f"{platform.platform()}, {os.cpu_count()} CPU cores, Python {platform.python_version()}"
    head = f"Written by `python bench/planner.py {part}` on {date.today()}: {where}."
    parts[part] = [f"## {TITLES[part]}", "", head, "", *lines, ""]
    store.write_text(json.dumps(parts, indent=1) + "\n")
    text = ["# What planning costs and saves", ""]
    for name in PARTS:
        text += parts.get(name, [])
    (RESULTS / "planner.md").write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    """Measure one part and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RUNNER_DATA", "data")))
    parser.add_argument(
        "--workers", type=int, help="of the plain script; both 0 and 2 are tried when not given"
    )
    options = parser.parse_args()
    data = options.data.resolve()
    if options.part == "scale":
        lines = scale(options.repetitions)
    elif options.part == "rates":
        lines = rates(options.repetitions)
    elif options.part == "patience":
        lines = patience(options.repetitions, data)
    else:
        import frozen

        workers = (0, 2) if options.workers is None else (options.workers,)
        lines = getattr(frozen, options.part)(data, options.repetitions, workers)
    write(options.part, lines)


if __name__ == "__main__":
    main()

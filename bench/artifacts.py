"""What artifacts cost that machines share: bytes and seconds, of one artifact and of whole runs.

    python bench/artifacts.py [--data FOLDER] [--repetitions 3] [--per-class 10] [--megabytes 100]

First, one file of weights is put to a shared folder and to file systems of fsspec, and fetched.
Then, with FOLDER (Caltech-101, and weights of AlexNet's layers before the linear ones), a machine
trains on frozen features, and another, which has the same database and an empty `.runner/`, trains
at another learning rate: once it makes pixels and features itself, once it fetches them. Writes
bench/results/artifacts.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from measuring import BenchFailed, load, run_child, runner_command, with_range

from runner.artifacts.exchange import fetch, settle, share
from runner.artifacts.folder import Artifacts
from runner.artifacts.patience import Patience
from runner.artifacts.places import Place, open_place
from runner.artifacts.remote_place import open_remote
from runner.artifacts.shared import Shared
from runner.artifacts.shared_store import SharedStore

RESULTS = Path(__file__).resolve().parent / "results" / "artifacts.md"
NAME = "weights/run-best"
MB = 10**6
SPEC = """\
name: shared
data: {{dataset: caltech101, per_class: {per_class}, validation: 0.5, resize: [224, 224]}}
model:
  name: alexnet
  freeze: features
  weights:
    file: weights/alexnet_features-imagenet1k_v1.pth
    sha256: ca5972bc284509c8aa9913fd0b6478bc37231279e429e29710aa97f1ca46ddaf
    missing: [classifier]
train: {{epochs: 2, batch_size: 64, optimizer: {{name: sgd, lr: 0.001}}}}
"""
STAGES = ("prepare", "features", "train", "evaluate")


@dataclass(frozen=True)
class Exchanged:
    """Seconds of one artifact: copied by itself, digested, put, put again, fetched."""

    copied: float
    digested: float
    put: float
    put_again: float
    fetched: float


@dataclass(frozen=True)
class Ran:
    """A whole run: its seconds by the clock and of its threads, and those of its stages by kind."""

    wall: float
    cpu: float
    stages: dict[str, float]


def timed(do: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def machine(home: Path, place: Place) -> Artifacts:
    """Return the artifacts of a machine that shares them at a place."""
    return Artifacts(home, "db", Shared(SharedStore(place, Patience("place"))))


def exchanged(home: Path, place: Place, num_bytes: int) -> Exchanged:
    """Put an artifact of random bytes to a place, and fetch it; return what that took."""
    here, there = machine(home / "here", place), machine(home / "there", place)
    path = here.path(NAME)
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(num_bytes))

    def put() -> None:
        share(here, NAME)
        settle(here, [NAME])

    copied = timed(lambda: shutil.copyfile(path, home / "copy"))
    digested = timed(lambda: hashlib.file_digest(path.open("rb"), "sha256"))
    found = Exchanged(copied, digested, timed(put), timed(put), timed(lambda: fetch(there, NAME)))
    if there.path(NAME).read_bytes() != path.read_bytes():
        raise BenchFailed("what was fetched is not what was put")
    return found


def places(home: Path) -> Iterator[tuple[str, Place]]:
    """Yield places on this machine, with what they are."""
    for name, address in (("folder", "folder"), ("fsspec local://", "local")):
        root = home / address
        root.mkdir()
        url = f"local://{root}"
        yield name, open_place(str(root)) if address == "folder" else open_remote(url)
    yield "fsspec memory://", open_place(f"memory://{home.name}")


def one_artifact(repetitions: int, sizes: Sequence[int]) -> list[str]:
    """Return a table of what one artifact takes, by place and size."""
    lines = [
        "| place | MB | put, s | put again, s | fetched, s | a copy, s | a digest, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    found: dict[tuple[str, int], list[Exchanged]] = {}
    for _ in range(repetitions):
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                for name, place in places(Path(folder)):
                    home = Path(folder) / f"{name.replace('/', '')} {size}"
                    home.mkdir()
                    found.setdefault((name, size), []).append(exchanged(home, place, size))
    for (name, size), every in found.items():
        columns = ("put", "put_again", "fetched", "copied", "digested")
        cells = [with_range([getattr(each, column) for each in every], 3) for column in columns]
        lines.append(f"| {name} | {size // MB} | {' | '.join(cells)} |")
    return lines


def ran(home: Path, data: Path, words: Sequence[str]) -> Ran:
    """Run the spec in a folder; return what it took."""
    before = _attempts(home)
    command = runner_command(
        "run", "shared.yaml", "--data", str(data), "--device", "cpu", "--no-download", *words
    )
    spent = run_child(command, home)
    seconds = dict.fromkeys(STAGES, 0.0)
    with closing(sqlite3.connect(home / "results.db")) as database:
        query = "SELECT kind, seconds FROM attempts JOIN stages USING (stage_key) WHERE id > ?"
        for kind, took in database.execute(query, [before]):
            seconds[kind] += took
    return Ran(spent.wall, spent.cpu, seconds)


def _attempts(home: Path) -> int:
    if not (home / "results.db").exists():
        return 0
    with closing(sqlite3.connect(home / "results.db")) as database:
        return int(database.execute("SELECT coalesce(max(id), 0) FROM attempts").fetchone()[0])


def _files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def whole_runs(repetitions: int, data: Path, per_class: int) -> list[str]:
    """Return a table of what whole runs take, on one machine and on another."""
    found: dict[str, list[Ran]] = {}
    store_bytes: list[int] = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            home, store = Path(folder), Path(folder) / "store"
            store.mkdir()
            shares, other = ["--artifacts", str(store)], ["--set", "lr=0.002"]
            for name, words in (("one alone", []), ("one, sharing", shares)):
                (home / name).mkdir()
                (home / name / "shared.yaml").write_text(SPEC.format(per_class=per_class))
                found.setdefault(name, []).append(ran(home / name, data, words))
            store_bytes.append(sum(each.stat().st_size for each in _files(store)))
            for name, words in (
                ("another, makes all itself", other),
                ("another, fetches", [*shares, *other]),
            ):
                (home / name).mkdir()
                for file in ("shared.yaml", "results.db"):
                    shutil.copy(home / "one, sharing" / file, home / name / file)
                found.setdefault(name, []).append(ran(home / name, data, words))
    lines = [
        f"The shared folder held {statistics.median(store_bytes) / MB:.0f} MB after the first.",
        "",
        "| machine | whole run, s | CPU s | " + " | ".join(f"{each}, s" for each in STAGES) + " |",
        "| --- |" + " ---: |" * (2 + len(STAGES)),
    ]
    for name, every in found.items():
        cells = [with_range([getattr(each, clock) for each in every]) for clock in ("wall", "cpu")]
        cells += [with_range([each.stages[kind] for each in every], 2) for kind in STAGES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> int:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--data", type=Path, help="holds Caltech-101; whole runs are measured")
    parser.add_argument("--per-class", type=int, default=10, help="images of each class")
    parser.add_argument("--megabytes", type=int, default=100, help="of the larger artifact")
    options = parser.parse_args()
    began = load()
    lines = [
        "# What shared artifacts cost",
        "",
        f"Written by `python bench/artifacts.py` on {date.today()}: {platform.platform()},",
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}; median of"
        f" {options.repetitions}, with the least and the most; load at the beginning: {began:.1f}.",
        "",
        "## One artifact",
        "",
        "Put and fetched on one disk: what is left when a network is as fast as that. *Put again*",
        "is of one that is there already, and has not changed. A digest is made of it before it is",
        "put, and after it is fetched.",
        "",
        *one_artifact(options.repetitions, [MB, options.megabytes * MB]),
    ]
    if options.data is not None:
        many = f"{options.per_class} images of each class of Caltech-101 at 224×224 pixels"
        lines += [
            "",
            "## Whole runs",
            "",
            f"Two epochs behind AlexNet's frozen features, {many}. The other machine has the same"
            " database and an",
            "empty `.runner/`, and trains at another rate.",
            "",
            *whole_runs(options.repetitions, options.data.resolve(), options.per_class),
        ]
    text = "\n".join(lines) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

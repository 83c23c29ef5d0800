"""Exports that follow: on until nothing is unfinished, stopped and killed without loss."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up import MadeUp, record_made_up

from runner import api
from runner.api import exporting_records
from runner.core.errors import Interrupted
from runner.core.run import Cell
from runner.store.database import open_database

pytestmark = pytest.mark.slow

SPEC = """\
name: grid
data: {dataset: digits}
model: {name: mlp, hidden: [4]}
train: {epochs: 2}
sweep: {grid: {lr: [0.01, 0.1]}}
"""
DONE = MadeUp({"val_accuracy": [0.5, 0.75]}, best_epoch=2, test_accuracy=0.7)


def record(folder: Path, done: int) -> Path:
    """Record so many cells as done, in a database that may be there."""

    def recipe(cell: Cell) -> MadeUp | None:
        return DONE if cell.position < done else None

    with open_database(folder / "results.db") as database:
        record_made_up(database, folder, SPEC, recipe)
    return folder / "results.db"


def cells(place: Path) -> list[str]:
    with (place / "runs.csv").open(encoding="utf-8", newline="") as file:
        return [row["cell"] for row in csv.DictReader(file)]


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting_records, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(exporting_records, "TICK_SECONDS", 0.01)


@pytest.mark.usefixtures("_soon")
def test_export_follows_until_no_run_is_unfinished(tmp_path: Path) -> None:
    place, db = tmp_path / "out", record(tmp_path, 1)
    seen: list[list[str]] = []

    def progress(done: int, total: int) -> None:
        if place.exists() and not seen:  # the first round is over
            seen.append(cells(place))
            record(tmp_path, 2)

    exported = api.export_records("csv", place=place, db=db, follow=True, on_progress=progress)
    assert seen == [["grid:0:0"]]
    assert cells(place) == ["grid:0:0", "grid:1:0"]
    assert exported.counts() == {"done": 2}
    assert list(exported.frame()["exported"]) == [True, True]


@pytest.mark.usefixtures("_soon")
def test_nothing_is_written_while_nothing_is_recorded(tmp_path: Path) -> None:
    place, db = tmp_path / "out", record(tmp_path, 1)
    written: set[int] = set()
    waited = 0

    def progress(done: int, total: int) -> None:
        nonlocal waited
        if place.exists():
            written.add((place / "runs.csv").stat().st_ino)
            waited += 1
        if waited == 8:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        api.export_records("csv", place=place, db=db, follow=True, on_progress=progress)
    assert len(written) == 1
    assert cells(place) == ["grid:0:0"]


def test_export_without_follow_ends_with_unfinished_runs(tmp_path: Path) -> None:
    exported = api.export_records("csv", place=tmp_path / "out", db=record(tmp_path, 1))
    assert exported.counts() == {"done": 1, "unfinished": 1}
    assert [run.exported for run in exported.runs] == [True, False]


def files(place: Path) -> dict[str, bytes]:
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.parent.name != "tables"
    }


def count(place: Path) -> int:
    """Return how many files there are, also while some are written and renamed."""
    return sum(len(names) for _, _, names in os.walk(place))


@pytest.mark.slow
def test_export_that_was_killed_is_completed_to_the_byte(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    words = ["-m", "runner", "export", "--reference", "quickstart", "--to", "tensorboard"]
    killed = 0
    for _ in range(4):
        before = count(tmp_path / "killed")
        process = subprocess.Popen([sys.executable, *words, "--folder", tmp_path / "killed"])
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            if count(tmp_path / "killed") > before + 2:
                process.kill()
            time.sleep(0.005)
        code = process.wait()
        assert code in (0, -signal.SIGKILL)
        killed += code < 0
    assert killed
    api.export_records("tensorboard", "quickstart", place=tmp_path / "killed", db=api.REFERENCE)
    api.export_records("tensorboard", "quickstart", place=tmp_path / "whole", db=api.REFERENCE)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")

"""A database and a `.runner/` of the fourth schema: what they hold is not computed again.

The engine of today rounds otherwise: it goes on from trainings that were under way only where that
is asked for. Finished runs stay as they are.

Made by the code of that schema from the spec beside them, with one thread and plain operations:
three runs done, one training killed after its checkpoint of epoch 30, three runs never begun.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "store" / "fixtures"
PLAIN = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"}
NEW = [("train", 3), ("train", 3), ("train", 5), ("train", 150)]
EPOCHS = (
    "SELECT kind, count(*) FROM attempts "
    "JOIN stages USING (stage_key) JOIN steps ON attempt_id = id "
    "WHERE id > ? GROUP BY id ORDER BY count(*)"
)
"""Epochs that each later attempt trained."""
RESULTS = "SELECT run_key, rerun, status, best_epoch, last_epoch, seconds, recorded FROM results"


def runner(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "runner", *words]
    ended = subprocess.run(command, cwd=folder, env=PLAIN, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def before(tmp_path: Path) -> Path:
    shutil.copy(FIXTURES / "schema_0004.db", tmp_path / "results.db")
    shutil.copy(FIXTURES / "schema_0004.yaml", tmp_path)
    shutil.copytree(FIXTURES / "schema_0004.runner", tmp_path / ".runner")
    return tmp_path


def rows(folder: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "results.db")) as raw:
        return raw.execute(query, values).fetchall()


@pytest.mark.slow
def test_finished_runs_of_before_stay_and_trainings_under_way_begin_anew(before: Path) -> None:
    results = rows(before, RESULTS)
    assert len(results) == 3
    (last,) = rows(before, "SELECT max(id) FROM attempts")

    runner(before, "run", "schema_0004.yaml", "--only", "seed=0")

    kept = rows(before, RESULTS)
    assert [row for row in kept if row in results] == results
    assert len(kept) == 7
    trained = rows(before, EPOCHS, last[0])
    assert trained == NEW
    again = runner(before, "plan", "schema_0004.yaml", "--only", "seed=0")
    assert "runs      7: 7 done, 0 to do" in again


@pytest.mark.slow
def test_work_of_before_goes_on_with_nothing_trained_again_where_mixing_is_accepted(
    before: Path,
) -> None:
    (last,) = rows(before, "SELECT max(id) FROM attempts")
    results = rows(before, RESULTS)

    runner(before, "run", "schema_0004.yaml", "--only", "seed=0", "--accept-mixed")

    assert [row for row in rows(before, RESULTS) if row in results] == results
    trained = rows(before, EPOCHS, last[0])
    assert trained == [("train", 1), ("train", 3), ("train", 3), ("train", 120)]


@pytest.mark.slow
def test_trainings_of_before_that_begin_anew_end_as_if_nothing_had_been_there(
    before: Path, tmp_path: Path
) -> None:
    (tmp_path / "anew").mkdir()
    shutil.copy(FIXTURES / "schema_0004.yaml", tmp_path / "anew")
    done = {key for key, *_ in rows(before, RESULTS)}
    for folder in (before, tmp_path / "anew"):
        runner(folder, "run", "schema_0004.yaml", "--only", "seed=0")
    metrics = "SELECT run_key, epoch, split, name, value FROM run_metrics ORDER BY 1, 2, 3, 4"
    made, anew = (
        [row for row in rows(folder, metrics) if row[0] not in done]
        for folder in (before, tmp_path / "anew")
    )
    assert made == anew != []

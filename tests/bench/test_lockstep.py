"""Whole runs of trainings together and alone, as bench/lockstep.py compares and measures them."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench"))

import lockstep  # noqa: E402
from measuring import BenchFailed, Spent  # noqa: E402

SMALL = {
    **{"dataset": "synthetic", "classes": 3, "images": 160, "height": 8, "width": 8},
    **{"validation": 0.25, "test": 0.25},
}
CONVNET = {"name": "convnet", "filters": [4], "linear": [8], "freeze": "features"}


def test_the_pipelines_are_those_of_the_report() -> None:
    found = lockstep.pipelines()
    assert list(found) == ["CS-HF", "H-RP", "B-GS-R"]
    assert {each["p"] for each in found.values()} == {0.5}
    content = yaml.safe_load(lockstep.spec(found["H-RP"], 2))
    assert content["train"]["augment"] == found["H-RP"]
    assert content["sweep"]["grid"]["lr"] == [0.01, 0.005]


@pytest.mark.slow
def test_runs_together_are_measured_and_compared_with_runs_alone() -> None:
    augment = {"steps": [{"name": "RandomErasing"}]}
    cells = lockstep.measure("small", lockstep.spec(augment, 2, CONVNET, SMALL), 1)
    assert set(cells) >= {"gain", "together, CPU s", "alone, CPU s", "together, MiB"}
    assert int(cells["numbers compared"]) >= 2 * (3 + 3 * 4 + 1)


def made(folder: Path, loss: float, starts: tuple[float, float]) -> Spent:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "results.db")) as database:
        database.executescript(
            "create table run_steps (run_key, epoch, learning_rate, losses);"
            "create table run_metrics (run_key); create table artifacts (name, digest);"
            "create table attempts (stage_key, started, seconds);"
            "create table stages (stage_key, kind); insert into stages values ('a', 'train');"
        )
        database.execute("insert into run_steps values ('run', 1, 0.1, ?)", [str(loss)])
        for start in starts:
            database.execute("insert into attempts values ('a', ?, 5)", [start])
        database.commit()
    return Spent(1.0, 1.0)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("losses", "starts", "why"),
    [
        ((0.5, 0.25), (0, 1), "not what they are alone"),
        ((0.5, 0.5), (0, 6), "not done together"),
    ],
)
def test_what_differs_or_was_not_together_is_worth_nothing(
    losses: Any, starts: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def done(folder: Path, text: str, *flags: str) -> Spent:
        return made(folder, losses[bool(flags)], (0, 6) if flags else starts)

    monkeypatch.setattr(lockstep, "done", done)
    with pytest.raises(BenchFailed, match=why):
        lockstep.measure("made up", "", 1)
    monkeypatch.setattr(
        lockstep, "done", lambda folder, _, *flags: made(folder, 0.5, (0, 6) if flags else (0, 1))
    )
    assert lockstep.measure("made up", "", 2)["gain"] == "1.00 ×"

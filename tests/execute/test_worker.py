"""A worker does what is wanted in a database, whoever asked for it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask, left_in, write_photos

from runner.api.running import run
from runner.api.working import WorkSummary, work
from runner.core.errors import Interrupted, UsageError
from runner.engine.training.loop import Training
from runner.execute.listener import NullListener
from runner.store.database import open_database
from runner.store.wanted import wanted_runs

pytestmark = pytest.mark.slow

SPEC = """\
name: %s
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [4]}
train: {batch_size: 8}
sweep:
  rows: [%s]
"""
EPOCHS = "SELECT count(*) FROM steps"
ATTEMPTS = "SELECT kind, number, status FROM attempts JOIN stages USING (stage_key)"


def ask_for(folder: Path, name: str, rows: Sequence[tuple[float, int]], **options: Any) -> Path:
    """Record a grid of (rate, epochs) as wanted, and do nothing of it."""
    if not (folder / "photos").is_dir():
        write_photos(folder / "photos")
    spec = folder / f"{name}.yaml"
    listed = ", ".join(f"{{lr: {rate}, epochs: {epochs}}}" for rate, epochs in rows)
    spec.write_text(SPEC % (name, listed))
    run(spec, db=folder / "results.db", workers=0, threads=1, **options)
    return spec


def work_in(folder: Path, **options: Any) -> tuple[WorkSummary, list[str]]:
    notes: list[str] = []
    summary = work(folder / "results.db", on_note=notes.append, threads=1, **options)
    return summary, notes


def wanted_in(folder: Path) -> dict[str, int]:
    with open_database(folder / "results.db") as database:
        return wanted_runs(database)


def test_what_two_specs_ask_for_is_planned_together(tmp_path: Path) -> None:
    ask_for(tmp_path, "short", [(0.1, 2), (0.2, 2)])
    ask_for(tmp_path, "long", [(0.1, 4), (0.3, 3)])
    assert ask(tmp_path, ATTEMPTS) == []
    summary, notes = work_in(tmp_path)
    assert (set(summary.statuses.values()), summary.left, notes) == ({"done"}, 0, [])
    assert len(summary.frame()) == 4
    assert ask(tmp_path, EPOCHS) == [(2 + 4 + 3,)]
    assert work_in(tmp_path)[0].statuses == {}


def test_runs_that_failed_or_left_their_experiment_are_not_wanted(tmp_path: Path) -> None:
    spec = ask_for(tmp_path, "grid", [(0.1, 1), (0.2, 1)])
    broken = tmp_path / "photos" / "class_0" / "05.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"no image")
    run(spec, db=tmp_path / "results.db", threads=1)
    broken.write_bytes(whole)
    assert wanted_in(tmp_path) == {}
    ask_for(tmp_path, "grid", [(0.2, 1), (0.3, 1)])
    assert len(wanted_in(tmp_path)) == 2
    ask_for(tmp_path, "grid", [(0.3, 1)])
    assert len(wanted_in(tmp_path)) == 1


def test_repetition_that_was_stopped_is_wanted(tmp_path: Path) -> None:
    spec = ask_for(tmp_path, "grid", [(0.1, 1)])
    work_in(tmp_path)
    run(spec, db=tmp_path / "results.db", workers=0, rerun=True, threads=1)
    assert list(wanted_in(tmp_path).values()) == [1]
    work_in(tmp_path)
    assert ask(tmp_path, "SELECT rerun, status FROM results") == [(0, "done"), (1, "done")]


def test_what_cannot_be_done_here_is_left_with_a_reason(tmp_path: Path) -> None:
    ask_for(tmp_path, "here", [(0.1, 1)])
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "photos").rename(other / "photos")
    spec = other / "there.yaml"
    spec.write_text(SPEC % ("there", "{lr: 0.1}, {lr: 0.2}"))
    run(spec, db=tmp_path / "results.db", workers=0, threads=1)
    summary, notes = work_in(tmp_path, max_hours=1)
    assert (len(summary.statuses), summary.left) == (2, 1)
    (note,) = notes
    assert note.startswith("runs of here are left to other workers: ")
    assert "photos" in note


def test_data_that_has_changed_is_told_and_nothing_is_done(tmp_path: Path) -> None:
    spec = ask_for(tmp_path, "grid", [(0.1, 1)])
    (tmp_path / "photos" / "class_0" / "05.png").unlink()
    summary, notes = work_in(tmp_path)
    assert (summary.statuses, summary.left) == ({}, 1)
    changed = f"their data has changed since; `runner run {spec}` looks at it anew"
    assert notes == [f"runs of grid are left to other workers: {changed}"]
    assert ask(tmp_path, ATTEMPTS) == []


def test_what_is_asked_for_meanwhile_is_done_too(tmp_path: Path) -> None:
    ask_for(tmp_path, "first", [(0.1, 1), (0.2, 1)])
    plans: list[int] = []

    def listen(planned: Any) -> Any:
        plans.append(len(planned.run_keys))
        if len(plans) == 1:
            ask_for(tmp_path, "second", [(0.3, 1)])
        return NullListener()

    summary, _ = work_in(tmp_path, listen=listen)
    assert len(summary.statuses) == 3
    assert plans == [2, 3]


def test_run_that_is_asked_for_again_during_the_last_stage_is_done_again(tmp_path: Path) -> None:
    spec = ask_for(tmp_path, "grid", [(0.1, 1), (0.2, 1), (0.3, 1)])
    ended: list[str] = []

    class Asks(NullListener):
        def on_run_end(self, run_key: str, status: str) -> None:
            ended.append(run_key)
            if len(ended) == 2:  # the third, and last, is still to be done
                again = {"rerun": True, "runs": (ended[0],)}
                run(spec, db=tmp_path / "results.db", workers=0, threads=1, **again)

    summary, notes = work_in(tmp_path, listen=lambda planned: Asks())
    assert (len(summary.statuses), summary.left, notes) == (3, 0, [])
    repetitions = ask(tmp_path, "SELECT rerun, count(*) FROM results GROUP BY rerun")
    assert repetitions == [(0, 3), (1, 1)]


def test_who_stays_is_stopped_or_its_time_ends(tmp_path: Path) -> None:
    ask_for(tmp_path, "grid", [(0.1, 1)])
    work_in(tmp_path)
    summary, _ = work_in(tmp_path, stay=True, max_hours=1e-6)
    assert summary.was_stopped
    with pytest.raises(Interrupted, match="nothing was at work"):
        work_in(tmp_path, stay=True, should_stop=lambda: True)


def test_whether_time_that_is_over_has_brought_anything_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step is something: what was done of an epoch is kept."""
    ask_for(tmp_path, "grid", [(0.1, 20)])
    epochs: list[int] = []
    original: Any = Training.begin

    def begin(*taken: Any, **named: Any) -> Any:
        epochs.append(1)
        return original(*taken, **named)

    monkeypatch.setattr(Training, "begin", begin)
    moved = []
    for last in (2, 1, 0):
        is_over = partial(lambda last: len(epochs) >= last, last)
        summary, notes = work_in(tmp_path, is_time_over=is_over, checkpoint_seconds=1000.0)
        assert summary.was_stopped
        assert any(note.startswith("stopped in epoch") for note in notes) == (last > 0), notes
        moved.append(summary.has_moved)
        epochs.clear()
    assert moved == [True, True, False]


def test_options_that_choose_runs_are_refused_and_a_database_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it takes no 'only'"):
        work(tmp_path / "results.db", only=("lr=0.1",))
    with pytest.raises(UsageError, match="no database"):
        work(tmp_path / "results.db")


@pytest.mark.slow
def test_two_workers_train_each_shared_epoch_once(forks: Forks, tmp_path: Path) -> None:
    rates = [0.01 * number for number in range(1, 7)]
    short, long = ([(rate, epochs) for rate in rates] for epochs in (3, 5))
    together, alone = tmp_path / "together", tmp_path / "alone"
    for folder in (together, alone):
        folder.mkdir()
        ask_for(folder, "short", short)
        ask_for(folder, "long", long)
    pids = [forks.start(together, ["worker", "--threads", "1"]) for _ in range(2)]
    assert [forks.wait(pid) for pid in pids] == [0, 0], (together / OUTPUT).read_text()
    assert ask(together, EPOCHS) == [(6 * 5,)]
    assert {(number, status) for _, number, status in ask(together, ATTEMPTS)} == {(1, "done")}
    for name in ("short", "long"):
        words = ["run", f"{name}.yaml", "--no-share", "--threads", "1"]
        assert forks.run(alone, words) == 0
    assert left_in(together).dump == left_in(alone).dump


@pytest.mark.slow
def test_killed_worker_is_replaced_by_the_next(forks: Forks, tmp_path: Path) -> None:
    grids = [(0.1, 3), (0.1, 5), (0.2, 4)]
    together, alone = tmp_path / "together", tmp_path / "alone"
    for folder in (together, alone):
        folder.mkdir()
        ask_for(folder, "grid", grids)
    words = ["worker", "--threads", "1"]
    forks.run(together, words, KillAt("epoch begins", 4))
    assert forks.run(together, words) == 0, (together / OUTPUT).read_text()
    assert forks.run(alone, ["run", "grid.yaml", "--threads", "1"]) == 0
    assert left_in(together).dump == left_in(alone).dump
    assert left_in(together).litter == ()

"""Runs that have no result yet show the epochs that are recorded of them, and no others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from grids import ask, write_grid
from shared_specs import HEAD, TWO_BRANCHES

import runner.engine.training.book as book_module
from runner import api
from runner.api.running import run
from runner.bind.request import Request
from runner.core.errors import Interrupted

Seen = dict[str, list[tuple[int, float]]]
"""By label, epoch and ``val_accuracy`` in `run_metrics`."""

LABELS = """\
SELECT json_extract(labels, '$.label'), m.epoch, m.value FROM run_metrics AS m
JOIN cells USING (run_key) WHERE m.split = 'val' AND m.name = 'accuracy' ORDER BY m.epoch
"""
READERS = (
    HEAD
    + """\
sweep:
  rows:
    - {label: all}
    - {label: short, epochs: 3}
    - {label: patient, early_stopping: {monitor: val_loss, mode: max, patience: 1}}
"""
)
"""Three readers of one training; the third wants a loss that grows, and stops after 2 epochs."""


@pytest.fixture(autouse=True)
def _store_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "FLUSH_SECONDS", 0.0)


def seen(folder: Path) -> Seen:
    with closing(sqlite3.connect(folder / "results.db")) as raw:
        rows = raw.execute(LABELS).fetchall()
    found: Seen = {}
    for label, epoch, value in rows:
        found.setdefault(label, []).append((epoch, value))
    return found


def watched(
    spec: Path, folder: Path, stop: Callable[[Seen], bool] = lambda now: False
) -> list[Seen]:
    """Run a spec; return what was to be seen after every step, and at the end."""
    views: list[Seen] = []

    def look() -> bool:
        views.append(seen(folder))
        return stop(views[-1])

    request = Request([spec], threads=1, db=folder / "results.db", checkpoint_seconds=0.0)
    with suppress(Interrupted):
        run(request, should_stop=look)
    return [*views, seen(folder)]


def check_each_is_a_beginning(views: list[Seen]) -> None:
    """Check that every view has the first epochs of what the last one has, each once."""
    for view in views:
        for label, epochs in view.items():
            assert epochs == views[-1][label][: len(epochs)]
    for label, epochs in views[-1].items():
        assert [epoch for epoch, _ in epochs] == list(range(1, len(epochs) + 1)), label


@pytest.mark.slow
def test_readers_of_one_training_see_their_own_epochs_while_it_goes_on(tmp_path: Path) -> None:
    views = watched(write_grid(tmp_path, READERS), tmp_path)
    check_each_is_a_beginning(views)
    lengths = {label: len(epochs) for label, epochs in views[-1].items()}
    assert (lengths["all"], lengths["short"]) == (8, 3)
    assert lengths["patient"] < 8
    halfway = next(view for view in views if len(view.get("all", ())) == 6)
    assert {label: len(epochs) for label, epochs in halfway.items()} == {**lengths, "all": 6}
    assert ask(tmp_path, "SELECT count(*) FROM results") == [(3,)]


@pytest.mark.slow
def test_a_run_of_two_stages_sees_the_epochs_of_both_while_the_second_goes_on(
    tmp_path: Path,
) -> None:
    views = watched(write_grid(tmp_path, TWO_BRANCHES), tmp_path)
    check_each_is_a_beginning(views)
    lengths = [[len(view.get(label, ())) for label in ("every 2", "every 4")] for view in views]
    assert [2, 2] in lengths  # of what they share
    assert lengths[-1] == [8, 8]
    assert [5, 2] in lengths or [2, 5] in lengths


@pytest.mark.slow
def test_a_stopped_training_shows_what_it_has_and_later_nothing_twice(tmp_path: Path) -> None:
    spec = write_grid(tmp_path, READERS)
    stopped = watched(spec, tmp_path, lambda now: len(now.get("all", ())) == 4)
    assert len(stopped[-1]["all"]) == 4
    assert len(stopped[-1]["short"]) == 3
    assert ask(tmp_path, "SELECT count(*) FROM results") == [(0,)]
    views = watched(spec, tmp_path)
    assert len(views[0]["all"]) == 4
    check_each_is_a_beginning(views)
    assert views[-1]["all"][:4] == stopped[-1]["all"]


@pytest.mark.slow
def test_a_training_that_starts_again_hides_what_nothing_goes_on_from(tmp_path: Path) -> None:
    spec = write_grid(tmp_path, READERS)
    watched(spec, tmp_path, lambda now: len(now.get("all", ())) == 4)
    for path in (tmp_path / ".runner" / "checkpoints").rglob("*.safetensors"):
        path.write_bytes(b"damaged")
    views = watched(spec, tmp_path)
    assert len(views[0]["all"]) == 4  # while images are looked at
    assert {} in views  # before the first epoch
    check_each_is_a_beginning(views)
    assert ask(tmp_path, "SELECT count(*) FROM steps") == [(4 + 8,)]


@pytest.mark.slow
def test_show_and_list_of_a_running_run_have_its_epochs_so_far(tmp_path: Path) -> None:
    spec, db = write_grid(tmp_path, READERS), tmp_path / "results.db"
    shown: list[tuple[str, list[int], tuple[object, ...]]] = []

    def stop(now: Seen) -> bool:
        if len(now.get("all", ())) != 5:
            return False
        for cell in ("families:0", "families:1"):
            record = api.show(cell, db)
            listed = api.list_runs(db=db).frame().set_index("run").loc[record["run_key"]]
            (attempt,) = (each for each in record["attempts"] if each["kind"] == "train")
            epochs = [each["epoch"] for each in record["epochs"]]
            at = (listed["status"], listed["last_epoch"], attempt["last_epoch"])
            shown.append((record["status"], epochs, at))
            best = max(record["epochs"], key=lambda each: each["val_accuracy"])
            assert listed["best_epoch"] == best["epoch"]
            assert listed["val_accuracy"] == best["val_accuracy"]
        return True

    watched(spec, tmp_path, stop)
    assert shown == [
        ("running", [1, 2, 3, 4, 5], ("running", 5, 5)),
        ("running", [1, 2, 3], ("running", 3, 3)),
    ]
    assert api.show("families:0", db)["status"] == "unfinished"
    assert len(api.show("families:0", db)["epochs"]) == 5
    watched(spec, tmp_path)
    assert api.show("families:0", db)["status"] == "done"
    assert len(api.show("families:0", db)["epochs"]) == 8

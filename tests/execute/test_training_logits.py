"""A training keeps the logits of what it evaluates itself, of the epochs whose weights are kept."""

import signal
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask
from planted import at_moment

from runner import api
from runner.api.predictions import SplitPredictions
from runner.api.running import RunSummary, run
from runner.components import scores
from runner.core.errors import Interrupted
from runner.engine.stages import training_logits
from runner.engine.training import held_logits
from runner.execute.listener import NullListener

SPEC = """\
name: kept
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 4, batch_size: 64, optimizer: {name: sgd, lr: 1.5}}
"""
STATE = "state whole, not recorded"
NO_TEST = SPEC.replace("test: 0.2", "test: 0") + "evaluate: {test: never}\n"
RECORDED = (
    "SELECT value FROM run_metrics JOIN results USING (run_key, rerun)"
    " WHERE run_key = ? AND split = ? AND name = 'accuracy' AND epoch = {}_epoch"
)


def do(folder: Path, text: str, **options: Any) -> RunSummary:
    (folder / "kept.yaml").write_text(text)
    return run(folder / "kept.yaml", threads=1, db=folder / "results.db", **options)


def kept(folder: Path, cell: str, split: str, weights: str = "best") -> SplitPredictions:
    return api.predictions(cell, split, weights, db=folder / "results.db")


def check(folder: Path, cell: str, split: str, weights: str = "best") -> SplitPredictions:
    """Compare the accuracy of logits with what is recorded of their epoch."""
    found = kept(folder, cell, split, weights)
    recorded = ask(folder, RECORDED.format(weights), [found.run, split])
    accuracy = scores.top_k_accuracy(found.kept.logits, found.kept.labels, 1)
    assert recorded[-1][0] == pytest.approx(accuracy, abs=1e-9)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "splits"),
    [
        (SPEC, {("val", "best"), ("test", "best")}),
        (SPEC + "evaluate: {test: each_epoch}\n", {("val", "best"), ("test", "best")}),
        (NO_TEST, {("val", "best")}),
        (
            SPEC + "evaluate: {test: last}\n",
            {("val", "best"), ("val", "last"), ("test", "last")},
        ),
    ],
)
def test_logits_of_validation_and_test_images_are_kept_for_the_kept_weights(
    text: str, splits: set[tuple[str, str]], tmp_path: Path
) -> None:
    do(tmp_path, text)
    for split, weights in splits:
        found = check(tmp_path, "kept:0", split, weights)
        assert found.kept.split == split
    found_there = {
        (path.name.split("-")[2], path.name.split("-")[1])
        for path in tmp_path.glob(".runner/logits/*/*")
    }
    assert found_there == splits
    names = ask(tmp_path, "SELECT name FROM artifacts WHERE name LIKE 'logits/%'")
    assert len(names) == len(splits)


@pytest.mark.slow
def test_readers_of_one_training_keep_the_logits_of_their_own_epochs(tmp_path: Path) -> None:
    """Three runs read one training: two budgets, and a patience that ends it early."""
    rows = "[{epochs: 2}, {epochs: 5}, {early_stopping: {monitor: val_loss, patience: 1}}]"
    do(tmp_path, f"{SPEC}sweep: {{rows: {rows}}}\n")
    assert ask(tmp_path, "SELECT count(*) FROM stages WHERE kind = 'train'") == [(1,)]
    for position in range(3):
        check(tmp_path, f"kept:{position}", "val")


@pytest.mark.slow
def test_of_logits_that_are_too_many_to_be_held_one_epoch_is_computed_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs read one training, each with an epoch of its own."""
    monkeypatch.setattr(held_logits, "HELD_BYTES", -1)
    made: list[weakref.ref[Any]] = []
    held: list[int] = []
    logits = training_logits._logits

    def counted(*given: Any) -> Any:
        held.append(sum(each() is not None for each in made))
        found = logits(*given)
        made.append(weakref.ref(found))
        return found

    monkeypatch.setattr(training_logits, "_logits", counted)
    rows = "[{epochs: 1}, {epochs: 2}, {epochs: 3}]"
    text = SPEC.replace("epochs: 4", "best: {monitor: last}")
    do(tmp_path, f"{text}evaluate: {{test: each_epoch}}\nsweep: {{rows: {rows}}}\n")
    assert held == [0, 1, 0, 1, 0, 1]  # of val, then of test
    for position in range(3):
        check(tmp_path, f"kept:{position}", "val")


@pytest.mark.slow
def test_run_that_is_read_from_records_keeps_logits_and_one_that_goes_on_is_what_it_is_alone(
    tmp_path: Path,
) -> None:
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    for folder in (shared, alone):
        folder.mkdir()
    do(shared, SPEC)
    ((best, last),) = ask(shared, "SELECT best_epoch, last_epoch FROM results")
    assert best < last  # the network had other weights when its state was kept
    ran = do(shared, SPEC.replace("epochs: 4", "epochs: 3"))
    assert list(ran.statuses.values()) == ["done"]
    check(shared, "kept:0", "val")
    longer = SPEC.replace("epochs: 4", "epochs: 7")
    do(shared, longer)
    do(alone, longer)
    assert ask(
        shared,
        "SELECT min(epoch) FROM steps WHERE attempt_id = (SELECT max(attempt_id) FROM steps)",
    ) == [(5,)]
    mine, theirs = check(shared, "kept:0", "val").kept, check(alone, "kept:0", "val").kept
    assert np.array_equal(mine.logits, theirs.logits)
    assert mine.names == theirs.names


@pytest.mark.slow
@pytest.mark.parametrize("longer", [4, 7])
def test_killed_while_logits_are_kept_no_epoch_is_trained_again(
    longer: int, forks: Forks, tmp_path: Path
) -> None:
    (tmp_path / "kept.yaml").write_text(SPEC)
    words = ["run", "kept.yaml", "--device", "cpu", "--threads", "1"]
    killed = forks.run(tmp_path, words, KillAt("training ended, logits to be kept", until=STATE))
    assert killed == -signal.SIGKILL, (tmp_path / OUTPUT).read_text()
    ran = do(tmp_path, SPEC.replace("epochs: 4", f"epochs: {longer}"))
    assert list(ran.statuses.values()) == ["done"]
    check(tmp_path, "kept:0", "val")
    assert ask(tmp_path, "SELECT count(*), max(epoch) FROM steps") == [(longer, longer)]


@pytest.mark.slow
def test_asked_to_stop_while_logits_are_computed_the_training_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_logits, "HELD_BYTES", -1)
    notes: list[str] = []

    class Log(NullListener):
        def on_note(self, note: str) -> None:
            notes.append(note)

    two = SPEC + "sweep: {grid: {train.optimizer.lr: [1.5, 0.1]}}\n"
    stops: list[bool] = []
    with (
        at_moment("training ended, logits to be kept", lambda: stops.append(True)),
        pytest.raises(Interrupted),
    ):
        do(tmp_path, two, listen=lambda planned: Log(), should_stop=lambda: bool(stops))
    assert ask(tmp_path, "SELECT count(DISTINCT epoch), count(*) FROM steps") == [(4, 4)]
    assert not list(tmp_path.glob(".runner/logits/*/*-val"))
    assert "asked to stop: not all logits of the last training are kept, all else is" in notes
    do(tmp_path, two)
    assert ask(tmp_path, "SELECT count(DISTINCT epoch), count(*) FROM steps") == [(4, 8)]

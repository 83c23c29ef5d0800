"""What an earlier training recorded is read, not trained, and leaves the same bytes."""

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import OUTPUT, Forks, KillAt, behind_checkpoint
from grids import ask, left_in, write_grid
from shared_specs import do, dump_of_runs, failures, statuses, trained

from runner.api.planning import make_plan
from runner.bind.request import Request

HEAD = """\
name: read
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [6]}
train: {epochs: 8, batch_size: 8, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}}
"""
LONG = HEAD + "sweep: {rows: [{label: long}]}\n"
READERS = (
    HEAD
    + """\
sweep:
  rows:
    - {label: one, epochs: 1}
    - {label: six, epochs: 6}
    - {label: six with its last, epochs: 6, evaluate.test: last}
    - {label: never tested, epochs: 7, evaluate.test: never}
    - {label: patient, early_stopping: {monitor: val_accuracy, patience: 2}}
    - {label: tolerant, early_stopping: {monitor: val_loss, patience: 1, tolerance: 0.05}}
    - {label: its last, train.best: {monitor: last}}
    - {label: loose, train.diverged_if: 90}
    - {label: strict, train.diverged_if: 1.5}
"""
)
"""Readers of the trajectory of LONG: all epochs that they read are those of the long run."""

DIVERGING = HEAD.replace("lr: 0.05", "lr: 1.0")
"""Diverges in epoch 2 under a limit of 3, in epoch 3 under 20, in epoch 4 under 100."""

FROZEN = (
    HEAD.replace("name: mlp, hidden: [6]", "name: convnet, filters: [4], freeze: features")
    + "sweep: {rows: [{label: long}]}\n"
)
EACH = HEAD + "evaluate: {test: each_epoch}\nsweep: {rows: [{label: long}]}\n"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def left_to_train(spec: Path, folder: Path, **options: Any) -> tuple[int, list[str]]:
    """Return how many epochs the plan of a spec has, and what it says of recorded ones."""
    db = folder / "results.db"
    explained, _ = make_plan(Request(spec, db=db, device="cpu", **options))
    notes = [each.why for each in explained.decisions if each.rule == "read_recorded_epochs"]
    return explained.planned.epochs, notes


def ends(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Return status, best and last epoch by label."""
    query = "SELECT json_extract(labels, '$.label'), status, best_epoch, last_epoch FROM cells"
    rows = ask(folder, query + " JOIN results USING (run_key)")
    return {label: (status, best, last) for label, status, best, last in rows}


def assert_as_fresh(spec: Path, folder: Path, fresh: Path) -> None:
    """Hold all that is recorded of a spec's runs, and their files, against those of a new store."""
    do(spec, fresh, no_share=True)
    assert dump_of_runs(folder) == dump_of_runs(fresh)
    assert left_in(fresh).files.items() <= left_in(folder).files.items()
    assert left_in(folder).litter == ()
    assert failures(folder) == []


def change(folder: Path, statement: str) -> None:
    """Change what is recorded, without what tells damage."""
    with closing(sqlite3.connect(folder / "results.db")) as raw:
        raw.execute(statement)
        raw.execute("UPDATE attempts SET checksum = NULL")
        raw.commit()


def remove_states(folder: Path) -> None:
    """Leave the weights that runs keep, and no other."""
    for path in (folder / ".runner" / "states").rglob("checkpoint.json"):
        path.unlink()


@pytest.mark.slow
def test_readers_of_what_is_recorded_train_only_for_weights_that_are_gone(tmp_path: Path) -> None:
    old = tmp_path / "old"
    do(write_grid(tmp_path, LONG), old)
    spec = write_grid(tmp_path, READERS)
    epochs, notes = left_to_train(spec, old)
    log = do(spec, old)
    assert trained(old) == 8 + epochs == 8 + 6
    assert notes == [
        "epoch 1 is recorded, but its weights are gone",
        "epochs 1–6 are recorded, but the weights of epoch 6, the last of them, are gone",
    ]
    assert [note for note in log.notes if "recorded" in note] == [
        f"read epochs 1–{last} as recorded: nothing is trained" for last in (6, 7, 6, 6, 8, 8, 8)
    ]
    assert_as_fresh(spec, old, tmp_path / "fresh")
    assert do(spec, old).began == []


@pytest.mark.slow
def test_a_lowered_budget_trains_nothing_and_a_raised_one_what_is_missing(tmp_path: Path) -> None:
    do(write_grid(tmp_path, LONG), tmp_path)
    remove_states(tmp_path)
    for budget, epochs in ((6, 8), (4, 8), (8, 8)):
        spec = write_grid(tmp_path, LONG.replace("epochs: 8", f"epochs: {budget}"))
        assert left_to_train(spec, tmp_path) == (0, [])
        do(spec, tmp_path)
        assert trained(tmp_path) == epochs
    do(write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 10")), tmp_path)
    assert trained(tmp_path) == 8 + 10
    # its states are there
    do(write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 12")), tmp_path)
    assert trained(tmp_path) == 8 + 12


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        pytest.param({"no_share": True}, 6, marks=pytest.mark.slow),
        pytest.param({"disable": ("read_recorded_epochs",)}, 6, marks=pytest.mark.slow),
        pytest.param({"disable": ("share_trajectories",)}, 6, marks=pytest.mark.slow),
        pytest.param({"disable": ("go_on_from_states",)}, 0, marks=pytest.mark.slow),
    ],
)
def test_reading_can_be_switched_off(options: dict[str, Any], epochs: int, tmp_path: Path) -> None:
    do(write_grid(tmp_path, LONG), tmp_path)
    spec = write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 6"))
    assert left_to_train(spec, tmp_path, **options) == (epochs, [])
    do(spec, tmp_path, **options)
    assert trained(tmp_path) == 8 + epochs


@pytest.mark.slow
def test_a_repetition_reads_nothing_of_the_first(tmp_path: Path) -> None:
    do(write_grid(tmp_path, LONG), tmp_path)
    spec = write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 6"))
    do(spec, tmp_path)
    do(spec, tmp_path, rerun=True)
    assert trained(tmp_path) == 8 + 6


def damage(folder: Path) -> None:
    remove_states(folder)
    for path in (folder / ".runner" / "weights").rglob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)


def as_of_other_numerics(folder: Path) -> None:
    change(folder, """UPDATE attempts SET numerics = '{"threads": 99}'""")
    remove_states(folder)


def as_of_the_reference(folder: Path) -> None:
    change(folder, "UPDATE attempts SET status = 'reference'")
    remove_states(folder)


def as_of_other_pixels(folder: Path) -> None:
    change(
        folder, """UPDATE attempts SET outcome = replace(outcome, '"pixels": "', '"pixels": "x')"""
    )
    remove_states(folder)


def as_before_inputs_were_recorded(folder: Path) -> None:
    change(folder, """UPDATE attempts SET outcome = replace(outcome, '"inputs"', '"others"')""")
    remove_states(folder)


@pytest.mark.parametrize(
    ("harm", "planned", "note"),
    [
        pytest.param(
            damage,
            0,
            "training what is recorded: the weights of epoch 4 are gone or damaged",
            marks=pytest.mark.slow,
        ),
        pytest.param(as_of_other_numerics, 6, "", marks=pytest.mark.slow),
        pytest.param(as_of_the_reference, 6, "", marks=pytest.mark.slow),
        pytest.param(
            as_of_other_pixels,
            0,
            "training what is recorded: it was made with other pixels",
            marks=pytest.mark.slow,
        ),
        pytest.param(as_before_inputs_were_recorded, 6, "", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_read_is_trained(
    harm: Callable[[Path], None], planned: int, note: str, tmp_path: Path
) -> None:
    do(write_grid(tmp_path, LONG), tmp_path)
    harm(tmp_path)
    spec = write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 6"))
    assert left_to_train(spec, tmp_path) == (planned, [])
    log = do(spec, tmp_path)
    assert [each for each in log.notes if each.startswith("training")] == [note] * bool(note)
    assert trained(tmp_path) == 8 + 6
    assert statuses(tmp_path) == {"long": "done"}


@pytest.mark.slow
def test_other_numerics_are_read_where_mixing_is_accepted(tmp_path: Path) -> None:
    do(write_grid(tmp_path, LONG), tmp_path)
    as_of_other_numerics(tmp_path)
    spec = write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 6"))
    do(spec, tmp_path, accept_mixed=True)
    assert trained(tmp_path) == 8


@pytest.mark.slow
def test_where_a_run_diverges_is_read_from_the_losses(tmp_path: Path) -> None:
    old = tmp_path / "old"
    do(write_grid(tmp_path, DIVERGING + "sweep: {rows: [{train.diverged_if: 100}]}\n"), old)
    rows = "".join(
        f"    - {{label: {limit} {epochs}, train.diverged_if: {limit}, epochs: {epochs}}}\n"
        for limit, epochs in ((100, 7), (20, 8), (3, 8))
    )
    spec = write_grid(tmp_path, f"{DIVERGING}sweep:\n  rows:\n{rows}")
    assert left_to_train(spec, old) == (0, [])
    before = trained(old)
    do(spec, old)
    assert ends(old) == {
        "100 7": ("diverged", 1, 3),
        "20 8": ("diverged", 1, 2),
        "3 8": ("diverged", 1, 1),
    }
    assert trained(old) == before + 3  # the last epoch of each, as far as it went
    assert_as_fresh(spec, old, tmp_path / "fresh")


@pytest.mark.slow
def test_under_a_higher_limit_what_diverged_is_trained(tmp_path: Path) -> None:
    old = tmp_path / "old"
    do(write_grid(tmp_path, DIVERGING + "sweep: {rows: [{train.diverged_if: 3}]}\n"), old)
    spec = write_grid(tmp_path, DIVERGING + "sweep: {rows: [{train.diverged_if: 100}]}\n")
    do(spec, old)
    assert trained(old) == 2 + 4
    assert_as_fresh(spec, old, tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.parametrize("text", [FROZEN, EACH])
def test_frozen_features_and_tests_of_each_epoch_are_read(text: str, tmp_path: Path) -> None:
    old, fresh = tmp_path / "old", tmp_path / "fresh"
    do(write_grid(tmp_path, text), old)
    ((best,),) = ask(old, "SELECT best_epoch FROM results")
    spec = write_grid(tmp_path, text.replace("epochs: 8", "epochs: 7"))
    do(spec, old)
    assert trained(old) == 8 + (7 if best == 8 else 0)
    do(spec, fresh)
    assert dump_of_runs(old) == dump_of_runs(fresh)
    without = {"disable": ("use_frozen_features",)}
    spec = write_grid(tmp_path, text.replace("epochs: 8", "epochs: 6"))
    epochs, _ = left_to_train(spec, old, **without)
    assert (epochs > 0) == (text == FROZEN)


@pytest.mark.slow
def test_a_checkpoint_of_a_stopped_training_is_read(forks: Forks, tmp_path: Path) -> None:
    spec = write_grid(tmp_path, LONG)
    words = ["run", str(spec), "--checkpoint-seconds", "0"]
    kill = behind_checkpoint(7, 8)
    assert forks.run(tmp_path, words, kill) == -signal.SIGKILL
    assert trained(tmp_path) == 7
    write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 6"))
    assert left_to_train(spec, tmp_path) == (0, [])
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert trained(tmp_path) == 7
    do(spec, tmp_path / "fresh", no_share=True)
    assert dump_of_runs(tmp_path) == dump_of_runs(tmp_path / "fresh")
    # and the stopped one goes on
    write_grid(tmp_path, LONG)
    assert forks.run(tmp_path, words) == 0
    assert trained(tmp_path) == 8


POINTS = {
    "claimed": KillAt("stage claimed"),
    "weights written": KillAt("weights written, not recorded"),
    "recorded": KillAt("outcome recorded"),
}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_while_reading_it_is_read_again(point: str, forks: Forks, tmp_path: Path) -> None:
    do(write_grid(tmp_path, LONG), tmp_path)
    spec = write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 6"))
    words = ["run", str(spec)]
    assert forks.run(tmp_path, words, POINTS[point]) == -signal.SIGKILL
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert trained(tmp_path) == 8
    assert statuses(tmp_path) == {"long": "done"}
    do(spec, tmp_path / "fresh", no_share=True)
    assert dump_of_runs(tmp_path) == dump_of_runs(tmp_path / "fresh")
    assert left_in(tmp_path).litter == ()


@pytest.mark.slow
def test_two_processes_read_each_run_once(forks: Forks, tmp_path: Path) -> None:
    do(write_grid(tmp_path, LONG), tmp_path)
    spec = write_grid(tmp_path, READERS)
    pids = [forks.start(tmp_path, ["run", str(spec)]) for _ in range(2)]
    assert [forks.wait(pid) for pid in pids] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert trained(tmp_path) == 8 + 6
    assert set(ask(tmp_path, "SELECT number, status FROM attempts")) == {(1, "done")}
    do(spec, tmp_path / "fresh", no_share=True)
    assert dump_of_runs(tmp_path) == dump_of_runs(tmp_path / "fresh")


@pytest.mark.slow
def test_what_a_run_reads_is_shown_with_the_attempt_that_trained_it(tmp_path: Path) -> None:
    from runner.api.showing import show

    do(write_grid(tmp_path, LONG), tmp_path)
    ((before,),) = ask(
        tmp_path, "SELECT id FROM attempts JOIN stages USING (stage_key) WHERE kind = 'train'"
    )
    do(write_grid(tmp_path, LONG.replace("epochs: 8", "epochs: 6")), tmp_path)
    record = show("read:0", tmp_path / "results.db")
    trainings = [each for each in record["attempts"] if each["kind"] == "train"]
    assert [each["id"] for each in trainings][:1] == [before]
    assert len(trainings) == 2
    assert json.dumps(record.record)

"""What a plan says is left to train is what is then trained, whatever lies on the disk."""

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from forks import Forks, behind_checkpoint
from grids import left_in, write_grid
from shared_specs import BRANCHES, HEAD, TWO_BRANCHES, do, dump_of, failures, trained

from runner.api.foreseeing import actual
from runner.api.planning import make_plan
from runner.bind.request import Request

ONE = (
    HEAD.replace("epochs: 8", "epochs: 8, best: {monitor: last}") + "sweep: {grid: {epochs: [6]}}\n"
)


def left_to_train(spec: Path, folder: Path, **options: Any) -> int:
    """Return how many epochs the plan of a spec has."""
    db = folder / "results.db"
    _, wanted = make_plan(Request(spec, db=db, device="cpu", **options))
    return sum(stage.epochs for stage in wanted.plan.stages)


def as_it_is(folder: Path) -> None:
    """Leave states alone."""


def without_description(folder: Path) -> None:
    """Leave states without their JSON, as a full disk or a kill does."""
    for path in (folder / ".runner" / "states").rglob("checkpoint.json"):
        path.unlink()


def of_other_numerics(folder: Path) -> None:
    """Make states those of another number of threads."""
    for path in (folder / ".runner" / "states").rglob("checkpoint.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "numerics": {"threads": 99}}))


def of_a_higher_limit(folder: Path) -> None:
    """Make states those of trainings that might have gone on where these diverge."""
    for path in (folder / ".runner" / "states").rglob("checkpoint.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "diverged_if": 1e3}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "options", "epochs"),
    [
        (as_it_is, {}, 3),
        (without_description, {}, 9),
        pytest.param(of_other_numerics, {}, 9, marks=pytest.mark.slow),
        pytest.param(of_a_higher_limit, {}, 9, marks=pytest.mark.slow),
        pytest.param(as_it_is, {"disable": ("share_trajectories",)}, 9, marks=pytest.mark.slow),
        (as_it_is, {"disable": ("go_on_from_states",)}, 9),
        pytest.param(as_it_is, {"no_share": True}, 9, marks=pytest.mark.slow),
    ],
)
def test_a_state_counts_where_a_run_goes_on_from_it(
    harm: Callable[[Path], None], options: dict[str, Any], epochs: int, tmp_path: Path
) -> None:
    do(write_grid(tmp_path, ONE), tmp_path)
    harm(tmp_path)
    spec = write_grid(tmp_path, ONE.replace("[6]", "[9]"))
    before = trained(tmp_path)
    assert left_to_train(spec, tmp_path, **options) == epochs
    do(spec, tmp_path, **options)
    assert trained(tmp_path) - before == epochs
    assert failures(tmp_path) == []


@pytest.mark.slow
def test_a_state_without_the_weights_that_are_wanted_does_not_count(tmp_path: Path) -> None:
    do(write_grid(tmp_path, ONE), tmp_path)
    other = ONE.replace("monitor: last", "monitor: val_accuracy, mode: min")
    spec = write_grid(tmp_path, other.replace("[6]", "[9]"))
    assert left_to_train(spec, tmp_path) == 9
    do(spec, tmp_path)
    assert trained(tmp_path) == 6 + 9


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, pytest.param({"no_share": True}, marks=pytest.mark.slow)])
def test_a_checkpoint_of_a_stopped_training_counts(
    options: dict[str, Any], forks: Forks, tmp_path: Path
) -> None:
    spec = write_grid(tmp_path, ONE)
    words = ["run", str(spec), "--checkpoint-seconds", "0", *(["--no-share"] * bool(options))]
    kill = behind_checkpoint(4, 5)
    assert forks.run(tmp_path, words, kill) == -signal.SIGKILL
    assert left_to_train(spec, tmp_path, **options) == 2
    assert forks.run(tmp_path, words) == 0
    assert trained(tmp_path) == 6


@pytest.mark.slow
def test_a_branch_with_a_checkpoint_needs_no_state_to_branch_from(
    forks: Forks, tmp_path: Path
) -> None:
    """Both branches are open: without the checkpoint their parent would be trained again."""
    spec = write_grid(tmp_path, TWO_BRANCHES)
    words = ["run", str(spec), "--checkpoint-seconds", "0"]
    forks.run(tmp_path, words, behind_checkpoint(10, 13))
    with closing(sqlite3.connect(tmp_path / "results.db")) as raw:
        raw.execute("DELETE FROM results")
        raw.commit()
    for path in (tmp_path / ".runner" / "states").rglob("*-2/checkpoint.json"):
        path.unlink()
    assert left_to_train(spec, tmp_path) == 2
    assert forks.run(tmp_path, words) == 0
    assert trained(tmp_path) == 14


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "epochs"), [("share_trajectories", 52), ("go_on_from_states", 26)]
)
def test_with_one_rule_switched_off_the_others_still_save(
    rule: str, epochs: int, tmp_path: Path
) -> None:
    spec, all_rules = write_grid(tmp_path, BRANCHES), tmp_path / "all"
    folder = tmp_path / "without"
    do(spec, all_rules)
    log = do(spec, folder, disable=(rule,))
    assert trained(folder) <= epochs
    assert (trained(folder) == 26) == (rule == "go_on_from_states")
    assert log.notes == []
    assert dump_of(folder) == dump_of(all_rules)
    assert left_in(folder).litter == ()


@pytest.mark.slow
def test_the_epochs_of_a_stopped_training_count_where_truth_is_held_against_prediction(
    forks: Forks, tmp_path: Path
) -> None:
    spec, db = write_grid(tmp_path, ONE), tmp_path / "results.db"
    words = ["run", str(spec), "--checkpoint-seconds", "0"]
    forks.run(tmp_path, words, behind_checkpoint(4, 5))
    assert [each.kind for each in actual([spec], db=db).kinds] == ["prepare"]
    assert actual([spec], db=db).frame()["status"].tolist() == ["done", "lost"]
    assert forks.run(tmp_path, words) == 0
    found = {each.kind: each for each in actual([spec], db=db).kinds}
    train = found["train"]
    assert (train.attempts, train.predicted_epochs, train.epochs) == (1, 6, 6)
    assert train.other_seconds > 0

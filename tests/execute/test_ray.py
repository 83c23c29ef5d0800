"""Grids on a Ray cluster: a lost node costs little and changes nothing; errors come at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from grids import ask, left_in, write_grid
from ray_grids import apart, why_not
from together_specs import RATES

from runner.api.running import run

LONG = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6], batch_norm: true}
train: {epochs: 60, batch_size: 8, optimizer: adam}
sweep:
  grid: {lr: [0.01, 0.03], dropout: [0.0, 0.3]}
"""

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _in_a_namespace() -> None:
    if reason := why_not():
        pytest.skip(reason)


def test_a_grid_goes_on_without_a_node_that_is_killed(tmp_path: Path) -> None:
    for name in ("ray", "alone"):
        (tmp_path / name).mkdir()
        write_grid(tmp_path / name, LONG)
    told = apart(tmp_path / "ray", "lose", "6")
    assert told["statuses"] == ["done"] * 4
    assert any("another is started" in note for note in told["notes"]), told["notes"]
    run([tmp_path / "alone" / "grid.yaml"], db=tmp_path / "alone" / "results.db", threads=1)
    assert left_in(tmp_path / "ray").dump == left_in(tmp_path / "alone").dump
    assert left_in(tmp_path / "ray").tensors == left_in(tmp_path / "alone").tensors

    lost = "SELECT stage_key, id FROM attempts WHERE status = 'lost'"
    [(stage, attempt)] = ask(tmp_path / "ray", lost)
    epochs = "SELECT epoch FROM steps JOIN attempts ON id = attempt_id WHERE stage_key = ?"
    trained = [epoch for (epoch,) in ask(tmp_path / "ray", epochs, [stage])]
    assert len(trained) - len(set(trained)) <= 1  # at most the epoch in progress is done twice
    assert ask(tmp_path / "ray", "SELECT count(*) FROM steps WHERE attempt_id = ?", [attempt])


def test_a_stage_that_takes_two_workers_with_it_has_failed(tmp_path: Path) -> None:
    spec = write_grid(tmp_path, LONG.replace("60", "200").replace("[0.0, 0.3]", "[0.0]"))
    told = apart(tmp_path, "kill", "2")
    assert told["statuses"] == ["done", "failed"], told["notes"]
    assert told["notes"].count("a worker has died; another is started") >= 1
    errors = ask(spec.parent, "SELECT error FROM attempts WHERE status = 'failed'")
    assert errors == [("the process that did this stage has died, as another before it",)]


def test_trainings_with_which_a_worker_died_are_done_one_by_one(tmp_path: Path) -> None:
    write_grid(tmp_path, RATES.replace("epochs: 4", "epochs: 60"))
    told = apart(tmp_path, "kill together", "3")
    assert told["statuses"] == ["done"] * 3, told["notes"]
    assert "a worker has died; another is started" in told["notes"]
    assert told["most"] == 1


def test_a_cluster_without_room_is_an_error_and_nothing_is_waited_for(tmp_path: Path) -> None:
    write_grid(tmp_path)
    told = apart(tmp_path, "refuse", json.dumps({"gpus": 0.5}))
    assert (
        "no node of the Ray cluster has room for a worker with 1 CPU and 0.5 GPU" in told["error"]
    )


def test_ctrl_c_stops_at_a_checkpoint(tmp_path: Path) -> None:
    write_grid(tmp_path, LONG.replace("60", "2000"))
    told = apart(tmp_path, "interrupt")
    assert told["code"] == 130, told["said"]
    assert "go on with" in told["said"]
    assert ask(tmp_path, "SELECT DISTINCT status FROM attempts WHERE status != 'done'") == [
        ("interrupted",)
    ]
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]

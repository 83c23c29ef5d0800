"""A request on its data: the same cells in any process, and only those that are asked for."""

import pickle
from pathlib import Path

import pytest

from runner.bind.bound_request import BoundRequest, bind_request
from runner.bind.late_numerics import LateNumerics
from runner.bind.plan_runs import plan_runs
from runner.bind.request import Request
from runner.core.errors import SpecError, UsageError

SPEC = """\
name: small
data: {dataset: synthetic, classes: 2, images: 40, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 2, batch_size: 16}
sweep: {grid: {lr: [0.01, 0.1], epochs: [1, 2]}}
"""


@pytest.fixture
def request_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """A request for four runs, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC, encoding="utf-8")
    return Request("small.yaml", device="cpu")


def keys_of(bound: BoundRequest) -> list[str]:
    return [cell.run.run_key for cell in bound.wanted_cells]


def test_bound_request_is_the_same_of_a_pickled_one(request_of_all: Request) -> None:
    bound = bind_request(request_of_all)
    again = bind_request(pickle.loads(pickle.dumps(request_of_all)))
    assert keys_of(bound) == keys_of(again)
    assert len(set(keys_of(bound))) == 4
    stages = [
        plan_runs(each, None, LateNumerics(each.request)).plan.stages for each in (bound, again)
    ]
    assert stages[0] == stages[1]


def test_bound_request_wants_only_what_was_asked_for(request_of_all: Request) -> None:
    keys = keys_of(bind_request(request_of_all))
    two = Request("small.yaml", only="lr=0.1")
    assert keys_of(bind_request(two)) == keys[2:]
    one = bind_request(Request("small.yaml", runs=keys[1:2]))
    assert (len(one.cells), keys_of(one)) == (4, keys[1:2])
    assert plan_runs(one, None, LateNumerics(one.request)).run_keys == keys[1:2]


def test_bound_request_has_the_experiments_with_all_their_cells(request_of_all: Request) -> None:
    bound = bind_request(Request("small.yaml", only="lr=0.1"))
    assert [len(experiment.cells) for experiment in bound.experiments] == [4]


def test_rules_that_are_switched_off_are_checked_before_data_is_looked_at(tmp_path: Path) -> None:
    spec = tmp_path / "elsewhere.yaml"
    written = "dataset: synthetic, classes: 2, images: 40, height: 4, width: 4"
    spec.write_text(SPEC.replace(written, "dataset: imagefolder, path: nowhere"))
    with pytest.raises(SpecError, match="missing data set imagefolder"):
        bind_request(Request(spec))
    with pytest.raises(UsageError, match="--disable share is no rule that shares") as raised:
        bind_request(Request(spec, disable="share"))
    assert not isinstance(raised.value, SpecError)


def test_rules_that_share_nothing_read_nothing_either(request_of_all: Request) -> None:
    alone = bind_request(Request("small.yaml", disable="share_trajectories"))
    assert alone.disabled == {"share_trajectories", "go_on_from_states", "read_recorded_epochs"}
    assert bind_request(Request("small.yaml", no_share=True)).disabled > alone.disabled

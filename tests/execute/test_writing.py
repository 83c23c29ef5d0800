"""What must be on the disk before something is recorded, and what the next training waits for."""

import threading
from collections import Counter
from pathlib import Path

import pytest
from grids import ask, left_in, write_grid
from shared_specs import TWO_BRANCHES

from runner.api.running import run
from runner.bind.request import Request
from runner.core import moments

SPEC = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [6]}
train: {epochs: 2, optimizer: sgd}
sweep:
  grid: SWEPT
"""
TWO_ALONE = "{lr: [0.1, 0.2]}"
TRAININGS = (
    "SELECT status FROM attempts JOIN stages USING (stage_key) WHERE kind = 'train' ORDER BY id"
)
SECONDS = 60


def statuses(folder: Path) -> list[str]:
    return [status for (status,) in ask(folder, TRAININGS)]


@pytest.mark.slow
def test_next_training_begins_while_the_state_of_the_one_before_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is so slow that the state is written only when the next training has begun."""
    began, calls, order = threading.Event(), Counter[str](), []

    def hook(moment: str) -> None:
        calls[moment] += 1
        if moment == "weights written, not recorded":
            assert statuses(tmp_path)[-1] == "running"
            order.append("weights")
        if moment == "epoch begins" and calls[moment] == 3:
            order.append("next training")
            began.set()
        if moment == "state about to be written" and calls[moment] == 1:
            assert began.wait(SECONDS)
        if moment == "state whole, not recorded":
            order.append("state")

    monkeypatch.setattr(moments, "hook", hook)
    spec = write_grid(tmp_path, SPEC.replace("SWEPT", TWO_ALONE))
    ran = run(Request([spec], db=tmp_path / "results.db", threads=1))
    assert sorted(ran.statuses.values()) == ["done", "done"]
    assert order == ["weights", "next training", "state", "weights", "state"]
    left = left_in(tmp_path)
    assert (len(left.states), len(left.tensors), left.litter) == (2, 2, ())


@pytest.mark.slow
def test_state_of_a_branch_is_whole_before_its_training_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    def hook(moment: str) -> None:
        if moment == "state whole, not recorded" and not found:
            found.append(statuses(tmp_path)[-1])

    monkeypatch.setattr(moments, "hook", hook)
    spec = write_grid(tmp_path, TWO_BRANCHES)
    ran = run(Request([spec], db=tmp_path / "results.db", threads=1))
    assert set(ran.statuses.values()) == {"done"}
    assert len(statuses(tmp_path)) == 3  # what both share, and each by itself
    assert found == ["running"]

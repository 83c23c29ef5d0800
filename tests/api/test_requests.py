"""One request for `run`, `plan` and `verify`: its options mean the same in each of them."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from runner import api
from runner.bind.request import Request
from runner.cli import planning, running, verifying
from runner.core.errors import Interrupted, UsageError
from runner.engine import numerics

SPEC = """\
name: small
data: {dataset: synthetic, classes: 2, images: 40, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 6, batch_size: 16}
sweep: {grid: {lr: [0.01, 0.1]}}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


class Stop:
    """Asks to stop after so many questions."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.slow
def test_plan_sees_the_checkpoint_that_a_run_on_as_many_threads_left(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numerics, "MULTIPLY_ADDS_A_THREAD", 1)  # so that it takes all
    here = torch.get_num_threads()
    request = Request(spec, only="lr=0.01", device="cpu", threads=here + 1, checkpoint_seconds=0)
    with pytest.raises(Interrupted):
        api.run(request, should_stop=Stop(12))
    assert torch.get_num_threads() == here
    on_other_threads = api.plan(spec, only="lr=0.01", device="cpu", threads=here)
    assert on_other_threads.planned.epochs == 6
    assert api.plan(request).planned.epochs < 6
    assert torch.get_num_threads() == here
    assert api.plan(request, threads=here, accept_mixed=True).planned.epochs < 6


@pytest.mark.slow
def test_plan_takes_what_run_would_do_now(spec: Path) -> None:
    api.run(spec, device="cpu", only="lr=0.01")
    request = Request(spec, device="cpu")
    assert api.plan(request).planned.epochs == 6
    assert api.plan(request, rerun=True).planned.epochs == 12
    assert api.plan(request, rerun=True, limit=1).planned.epochs == 6
    assert api.plan(request, limit=1).runs == 2  # one is done, one is to do


@pytest.mark.parametrize("verb", [api.run, api.plan, api.verify])
def test_options_that_there_are_not_are_errors(verb: Any, spec: Path) -> None:
    with pytest.raises(TypeError, match="no option 'epochs'; there are: only, profile, sets"):
        verb(spec, epochs=3)
    assert list(spec.parent.iterdir()) == [spec]


@pytest.mark.parametrize("command", [running.run, planning.plan, verifying.verify])
def test_commands_have_no_option_of_another_meaning(command: Any) -> None:
    parameters = set(inspect.signature(command).parameters)
    own = {"spec", "sample", "probe", "actual", "full", "form", "no_download", "page"}
    assert parameters - own <= {field.name for field in fields(Request)}


def test_one_text_stands_for_one_and_not_for_its_letters(spec: Path) -> None:
    frame = api.validate(spec, only="lr=0.1", sets="epochs=3").frame()
    assert frame["position"].unique().tolist() == [1]
    assert frame.loc[frame["setting"] == "train.epochs", "value"].tolist() == [3]
    with pytest.raises(UsageError, match="no database at"):
        api.plot(spec, only="lr=0.1", sets="epochs=3")

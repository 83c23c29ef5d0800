"""Runs by a training step of the user's own: killed, shared, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask, left_in
from own_nets import PLAIN_STEP, SAM

from runner import api
from runner.core.errors import SpecError, UsageError

SPEC = """\
name: sharp
data: digits
model: {name: convnet, filters: [2], dropout: 0.3}
train: {epochs: 5, batch_size: 256, optimizer: {name: sgd, lr: 0.1}, step: "steps.py:Sam"}
"""
BUDGETS = "sweep: {grid: {epochs: [2, 3]}}\n"


def write(folder: Path, spec: str = SPEC, steps: str = SAM) -> None:
    (folder / "sharp.yaml").write_text(spec)
    (folder / "steps.py").write_text(steps)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "process"])
def test_killed_runs_end_as_if_undisturbed(forks: Forks, tmp_path: Path, executor: str) -> None:
    lefts = []
    for name in ("undisturbed", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        write(folder)
        words = ["run", "sharp.yaml", "--code", "steps.py", "--checkpoint-seconds", "0"]
        if name == "killed":
            assert forks.run(folder, words, KillAt("epochs recorded", 3)) != 0
            words += ["--executor", executor]
        assert forks.run(folder, words) == 0, (folder / OUTPUT).read_text()
        lefts.append(left_in(folder))
    assert lefts[0].tensors == lefts[1].tensors
    assert len(ask(tmp_path / "killed", "SELECT 1 FROM attempts WHERE status = 'lost'")) == 1
    assert lefts[0].dump == lefts[1].dump


@pytest.mark.slow
def test_sharing_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SPEC + BUDGETS)
    with api.allow_code("steps.py"):
        assert api.plan("sharp.yaml").planned.epochs == 3
        verified = api.verify("sharp.yaml", device="cpu", threads=1)
    assert (len(verified.runs), verified.num_shared, verified.is_same) == (2, 2, True)


MEAN = SAM.replace("self.rho = rho", "self.rho, self.steps = rho, 0").replace(
    "        logits = model", "        self.steps += 1\n        logits = model"
)


def test_a_step_that_remembers_is_trained_unshared_and_plan_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SPEC + BUDGETS, MEAN)
    with api.allow_code("steps.py"):
        plan = api.plan("sharp.yaml")
    assert plan.planned.epochs == 5
    (why,) = plan.not_shared
    told = "'steps.py:Sam' remembers something between steps; trained by itself"
    assert why.startswith(f"epochs=2 seed=0, epochs=3 seed=0: {told}")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return value, logits", "return value", "gives float32 (), not a loss and logits"),
        ("optimizer.step()", "pass", "does not change the weights"),
    ],
)
def test_steps_that_are_none_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, steps=PLAIN_STEP.replace("Plain", "Sam").replace(old, new))
    with api.allow_code("steps.py"), pytest.raises(SpecError) as caught:
        api.run("sharp.yaml")
    assert str(caught.value).startswith(f"sharp.yaml:4:76: 'steps.py:Sam' {told}")
    assert not (tmp_path / "results.db").exists()


@pytest.mark.slow
def test_no_script_leaves_a_step_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SPEC.replace("epochs: 5", "epochs: 1"))
    with api.allow_code("steps.py"):
        api.run("sharp.yaml")
        assert list(api.show("sharp:0:0").record["own_code"]) == ["train.step"]
    with pytest.raises(UsageError, match=r"uses train\.step: steps\.py:Sam, for which no script"):
        api.new_script("sharp:0:0")

"""Own code is tried once for each of its parts, and what does not hold of one is put down to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_nets import LOSS, NETS, write_nets

import runner.engine.own_parts_probe as parts_probe
import runner.engine.own_probe as own_probe
from runner.bind.bound_request import bind_request
from runner.bind.request import Request
from runner.components.own import other_packages
from runner.components.own.permission import allow_code
from runner.core.sharing import SHARED, Unshared

SPEC = """\
name: own
data: {dataset: synthetic, classes: 3, images: 40, height: 8, width: 8}
model: {name: "nets.py:WideNet", width: 2}
train:
  epochs: 1
  batch_size: 16
  loss: {name: "losses.py:Loss"}
  optimizer: {name: "rules.py:Rule", lr: 0.1}
  augment: [{name: "steps.py:Step", p: 1.0}]
"""
RULES = """
import torch


class Rule(torch.optim.Optimizer):
    def __init__(self, params, lr: float):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                weight.add_(weight.grad, alpha=-group["lr"])
"""
STEPS = """
SEEN = []


class Step:
    def __call__(self, image, generator):
        return image
"""
WRONG = {
    "loss": ("losses", "        losses =", "        self.power += 1\n        losses ="),
    "optimizer": (
        "rules",
        "                weight.add_",
        "                vars(self)['seen'] = vars(self).get('seen', 0) + 1\n"
        "                weight.mul_(1 / self.seen)\n                weight.add_",
    ),
    "augment": ("steps", "return image", "SEEN.append(1)\n        return image + len(SEEN)"),
}
TOLD = {
    "loss": "'losses.py:Loss' gives other losses for the same batch:"
    " it draws, or remembers batches",
    "optimizer": "'rules.py:Rule' remembers something between steps that is not in its state",
    "augment": "'steps.py:Step' gives other images for the same images and draws",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_nets(tmp_path, NETS, spec=SPEC)
    for name, text in (("losses", LOSS), ("rules", RULES), ("steps", STEPS)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def edit(folder: Path, part: str) -> None:
    name, old, new = WRONG[part]
    text = (folder / f"{name}.py").read_text()
    assert old in text
    text = text.replace(old, new)
    (folder / f"{name}.py").write_text(text)


def found(folder: Path) -> Unshared:
    """Return what is found out of the one cell of the spec."""
    with allow_code(folder):
        request = Request(folder / "own.yaml", device="cpu", db=folder / "results.db")
        (cell,) = bind_request(request).cells
    assert cell.bound_model is not None
    return cell.bound_model.unshared


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("part", WRONG)
def test_what_does_not_hold_of_a_part_is_put_down_to_it_alone(folder: Path, part: str) -> None:
    edit(folder, part)
    assert found(folder) == Unshared(TOLD[part])


def test_what_was_tried_is_remembered_for_these_versions_of_torch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in WRONG:
        edit(folder, part)
    told = Unshared("; ".join(TOLD.values()))
    assert found(folder) == told
    with monkeypatch.context() as patch:
        for probe, name in (
            (own_probe, "try_training"),
            (parts_probe, "try_loss"),
            (parts_probe, "try_optimizer"),
            (parts_probe, "try_step"),
        ):
            patch.setattr(probe, name, lambda *given: pytest.fail("tried again"))
        assert found(folder) == told
    monkeypatch.setattr(own_probe, "try_training", lambda *given: SHARED)
    monkeypatch.setattr(parts_probe, "try_loss", lambda *given: "another")
    assert found(folder) == told
    monkeypatch.setattr(other_packages, "version_of", lambda top: f"another {top}")
    assert found(folder).training == "; ".join(["another", *list(TOLD.values())[1:]])

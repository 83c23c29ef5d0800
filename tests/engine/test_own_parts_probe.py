"""What the program relies on is tried with own losses, optimizers and steps."""

from pathlib import Path
from typing import Any

import pytest
from own_nets import LOSS, own_settings

from runner.components.losses import OwnLoss
from runner.components.optimizers import OwnOptimizer
from runner.components.own.problems import OwnCodeFailed
from runner.engine.own_parts_probe import try_loss, try_optimizer

pytestmark = pytest.mark.slow


def try_own_loss(folder: Path, old: str = "", new: str = "", **given: Any) -> str:
    assert old in LOSS
    loss = {"name": "losses.py:Loss", **given}
    found = own_settings(folder, losses=LOSS.replace(old, new), loss=loss).train.loss
    assert isinstance(found, OwnLoss)
    return try_loss(found, 10)


def test_losses_hold_with_and_without_class_weights(tmp_path: Path) -> None:
    assert try_own_loss(tmp_path) == ""
    assert try_own_loss(tmp_path, power=0.5, class_weights="balanced") == ""
    with pytest.raises(ValueError, match="class_weights needs a parameter `weight`"):
        try_own_loss(tmp_path, "weight, power", "power", class_weights="balanced")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (".mean()", "", r"gives \(4,\), not the loss of the batch as a scalar"),
        (".mean()", ".mean().item()", r"gives float, not the loss"),
        (".mean()", ".mean().detach()", "gives a loss without finite gradients"),
        (".mean()", ".mean() / 0", "gives a loss without finite gradients"),
        ("losses**", "los**", r"does not take logits and labels: \S*losses\.py:\d+: NameError"),
        ("= power, weight", "= nn.Parameter(torch.ones(())), weight", "has weights of its own"),
        ("nn.Module", "object", "cannot be built|is no subclass of torch.nn.Module"),
    ],
)
def test_what_does_not_hold_of_a_loss_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(OwnCodeFailed, match=rf"^'losses\.py:Loss' ({told})"):
        try_own_loss(tmp_path, old, new)


def test_loss_that_remembers_shares_nothing(tmp_path: Path) -> None:
    told = try_own_loss(tmp_path, "        losses =", "        self.power += 1\n        losses =")
    assert told.startswith("'losses.py:Loss' gives other losses for the same batch")


LION = """
import torch

COUNT = [0]


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr: float, beta: float = 0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["mean"], state["steps"] = torch.zeros_like(weight), 0
                state["steps"] += 1
                state["mean"].lerp_(weight.grad, 1 - group["beta"])
                weight.add_(state["mean"].sign(), alpha=-group["lr"] / state["steps"])
"""


def try_own_optimizer(folder: Path, old: str = "", new: str = "") -> str:
    assert old in LION
    (folder / "lion.py").write_text(LION.replace(old, new))
    rule = {"name": "lion.py:Lion", "lr": 0.01}
    found = own_settings(folder, optimizer=rule).train.optimizer
    assert isinstance(found, OwnOptimizer)
    return try_optimizer(found)


def test_optimizer_with_tensors_and_numbers_holds(tmp_path: Path) -> None:
    assert try_own_optimizer(tmp_path) == ""
    drawn = "lerp_(weight.grad + torch.rand(()).item()"
    assert try_own_optimizer(tmp_path, "lerp_(weight.grad", drawn) == ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "state = self.state[weight]",
            "state = vars(self).setdefault('own', {}).setdefault(weight, {})",
            "remembers something between steps that is not in its state",
        ),
        (
            "                state = ",
            "                COUNT[0] += 1\n                weight.mul_(COUNT[0])\n"
            "                state = ",
            "updates equal weights otherwise each time",
        ),
        (
            'state["steps"] += 1',
            'state["steps"] += 1; state["set"] = {1}',
            "keeps other things in its state than tensors and plain numbers",
        ),
    ],
)
def test_optimizer_that_cannot_go_on_as_it_was_shares_nothing(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert try_own_optimizer(tmp_path, old, new) == f"'lion.py:Lion' {told}"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('-group["lr"]', "-0.01", "takes no notice of the rate in force"),
        ("def step(self)", "def step(self, closure)", r"cannot update weights: TypeError"),
        ("torch.optim.Optimizer)", "object)", "is no subclass|cannot be built"),
    ],
)
def test_optimizer_that_cannot_train_is_an_error(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(OwnCodeFailed, match=rf"^'lion\.py:Lion' ({told})"):
        try_own_optimizer(tmp_path, old, new)


@pytest.mark.parametrize(("old", "new"), [(", lr: float", ""), ("params, ", "")])
def test_optimizer_takes_params_and_lr(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(ValueError, match=r"lion\.py:7:1: __init__ of Lion has no parameter"):
        try_own_optimizer(tmp_path, old, new)


def test_rate_of_an_own_optimizer_is_above_0(tmp_path: Path) -> None:
    (tmp_path / "lion.py").write_text(LION)
    with pytest.raises(ValueError, match="greater than 0"):
        own_settings(tmp_path, optimizer={"name": "lion.py:Lion", "lr": 0.0})

"""What the program relies on is tried with own code, and what does not hold is told."""

from pathlib import Path
from typing import Any

import pytest
from own_nets import NETS, write_nets

from runner.components.losses import OwnLoss
from runner.components.optimizers import OwnOptimizer
from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.engine.own_probe import try_loss, try_optimizer, try_training

LOSS = """
import torch
from torch import nn
from torch.nn import functional as F


class Loss(nn.Module):
    def __init__(self, weight, power: float = 2.0):
        super().__init__()
        self.power, self.weight = power, weight

    def forward(self, logits, labels):
        losses = F.cross_entropy(logits, labels, self.weight, reduction="none")
        return (losses**self.power).mean()
"""


def settings(folder: Path, nets: str = NETS, losses: str = LOSS, **train: Any) -> Settings:
    write_nets(folder, nets)
    (folder / "losses.py").write_text(losses)
    with allow_code(folder):
        return Settings.model_validate(
            {
                "data": {"dataset": "digits"},
                "model": {"name": "nets.py:WideNet", "width": 2, "drop": 0.5},
                "train": {
                    "optimizer": {"name": "adam", "lr": 0.01},
                    "loss": {"name": "losses.py:Loss"},
                    **train,
                },
            }
        )


def test_network_with_dropout_and_normalisation_holds(tmp_path: Path) -> None:
    normed = NETS.replace("F.relu(self.inside(x))", "F.relu(self.norm(self.inside(x)))").replace(
        "        self.drop = drop\n",
        "        self.drop = drop\n        self.norm = nn.BatchNorm2d(width)\n",
    )
    for text in (NETS, normed):
        try_training(settings(tmp_path, text), (1, 8, 8), 10)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "        self.drop = drop\n",
            "        self.drop = drop\n        self.noise = __import__('random').random()\n"
            "        self.out.weight.data.mul_(self.noise)\n",
            "is built with other weights each time",
        ),
        (
            "flatten(1) * SCALE",
            "flatten(1) * (1 + __import__('random').random() * self.training)",
            "is trained otherwise each time",
        ),
        (
            "        hidden =",
            "        self.seen = getattr(self, 'seen', 0) + self.training\n"
            "        x = x * (1 + self.seen * self.training)\n        hidden =",
            r"remembers something between steps that is not in its state_dict\(\)",
        ),
        (
            "        hidden =",
            "        assert not self.training, 'never'\n        hidden =",
            r"cannot be trained: \S*nets\.py:\d+: AssertionError: never",
        ),
    ],
)
def test_what_does_not_hold_of_a_network_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    text = NETS.replace(old, new).replace("__import__('random')", "random")
    assert old in NETS
    with pytest.raises(OwnCodeFailed, match=rf"^'nets\.py:WideNet' {told}"):
        try_training(settings(tmp_path, f"import random\n{text}"), (1, 8, 8), 10)


def test_state_in_buffers_holds(tmp_path: Path) -> None:
    counted = NETS.replace(
        "        self.drop = drop\n",
        "        self.drop = drop\n        self.register_buffer('seen', torch.zeros(()))\n",
    ).replace(
        "        hidden =",
        "        self.seen += self.training\n        x = x * (1 + self.seen)\n        hidden =",
    )
    try_training(settings(tmp_path, f"import torch\n{counted}"), (1, 8, 8), 10)


def try_own_loss(folder: Path, old: str = "", new: str = "", **given: Any) -> None:
    assert old in LOSS
    loss = {"name": "losses.py:Loss", **given}
    found = settings(folder, losses=LOSS.replace(old, new), loss=loss).train.loss
    assert isinstance(found, OwnLoss)
    try_loss(found, 10)


def test_losses_hold_with_and_without_class_weights(tmp_path: Path) -> None:
    try_own_loss(tmp_path)
    try_own_loss(tmp_path, power=0.5, class_weights="balanced")
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
        (
            "        losses =",
            "        self.power += 1\n        losses =",
            "gives other losses for the same batch",
        ),
        ("nn.Module", "object", "cannot be built|is no subclass of torch.nn.Module"),
    ],
)
def test_what_does_not_hold_of_a_loss_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(OwnCodeFailed, match=rf"^'losses\.py:Loss' ({told})"):
        try_own_loss(tmp_path, old, new)


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


def try_own_optimizer(folder: Path, old: str = "", new: str = "") -> None:
    assert old in LION
    (folder / "lion.py").write_text(LION.replace(old, new))
    rule = {"name": "lion.py:Lion", "lr": 0.01}
    found = settings(folder, optimizer=rule).train.optimizer
    assert isinstance(found, OwnOptimizer)
    try_optimizer(found)


def test_optimizer_with_tensors_and_numbers_holds(tmp_path: Path) -> None:
    try_own_optimizer(tmp_path)
    try_own_optimizer(tmp_path, "lerp_(weight.grad", "lerp_(weight.grad + torch.rand(()).item()")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "state = self.state[weight]",
            "state = vars(self).setdefault('own', {}).setdefault(weight, {})",
            "remembers something between steps that is not in its state",
        ),
        ('-group["lr"]', "-0.01", "takes no notice of the rate in force"),
        (
            "                state = ",
            "                COUNT[0] += 1\n                weight.mul_(COUNT[0])\n"
            "                state = ",
            "updates equal weights otherwise each time",
        ),
        ("def step(self)", "def step(self, closure)", r"cannot update weights: TypeError"),
        (
            'state["steps"] += 1',
            'state["steps"] += 1; state["set"] = {1}',
            "cannot update weights: TypeError",
        ),
        ("torch.optim.Optimizer)", "object)", "is no subclass|cannot be built"),
    ],
)
def test_what_does_not_hold_of_an_optimizer_is_told(
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
        settings(tmp_path, optimizer={"name": "lion.py:Lion", "lr": 0.0})

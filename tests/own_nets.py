"""Own code that tests allow: a small network with a module beside it, and specs that name it."""

from pathlib import Path
from typing import Any

from runner.components.own.permission import allow_code
from runner.components.settings import Settings

NETS = '''
"""Networks of a test."""

from torch import nn
from torch.nn import functional as F

from layers import SCALE


class WideNet(nn.Module):
    """One hidden layer with dropout by a function, which no layer announces."""

    def __init__(self, num_classes: int, in_channels: int, width: int = 16, drop: float = 0.1):
        super().__init__()
        self.inside = nn.Conv2d(in_channels, width, 3, stride=2)
        self.out = nn.Linear(width * 9, num_classes)
        self.drop = drop

    def forward(self, x):
        hidden = F.relu(self.inside(x)).flatten(1) * SCALE
        return self.out(F.dropout(hidden, self.drop, self.training))
'''
LAYERS = "SCALE = 1.0\n"
SPEC = """\
name: own
data: digits
model: {name: "nets.py:WideNet"}
train: {epochs: 1, batch_size: 256, optimizer: {name: sgd, lr: 0.1}}
sweep:
  grid:
    model.width: [2, 3]
"""


def write_nets(folder: Path, nets: str = NETS, layers: str = LAYERS, spec: str = SPEC) -> Path:
    """Write own code and a spec that names it into a folder; return the spec."""
    (folder / "nets.py").write_text(nets)
    (folder / "layers.py").write_text(layers)
    (folder / "own.yaml").write_text(spec)
    return folder / "own.yaml"


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


def own_settings(
    folder: Path,
    nets: str = NETS,
    losses: str = LOSS,
    model: dict[str, Any] | None = None,
    **train: Any,
) -> Settings:
    """Return settings whose network and loss are of files that are written into a folder."""
    write_nets(folder, nets)
    (folder / "losses.py").write_text(losses)
    with allow_code(folder):
        return Settings.model_validate(
            {
                "data": {"dataset": "digits"},
                "model": {"name": "nets.py:WideNet", "width": 2, "drop": 0.5, **(model or {})},
                "train": {
                    "optimizer": {"name": "adam", "lr": 0.01},
                    "loss": {"name": "losses.py:Loss"},
                    **train,
                },
            }
        )


SAM = '''
"""A training step of a test."""

import torch


class Sam:
    """Steps by the gradient at the worst place nearby."""

    def __init__(self, rho: float = 0.05):
        self.rho = rho

    def __call__(self, model, images, labels, loss, optimizer, generator):
        logits = model(images)
        value = loss(logits, labels)
        optimizer.zero_grad()
        value.backward()
        with torch.no_grad():
            weights = [each for each in model.parameters() if each.grad is not None]
            before = [each.clone() for each in weights]
            norm = torch.stack([each.grad.norm() for each in weights]).norm()
            for each in weights:
                each.add_(each.grad, alpha=self.rho / (norm.item() + 1e-12))
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        with torch.no_grad():
            for each, old in zip(weights, before):
                each.copy_(old)
        optimizer.step()
        return value, logits
'''
PLAIN_STEP = '''
class Plain:
    """Does what a training does without a step of its own."""

    def __call__(self, model, images, labels, loss, optimizer, generator):
        logits = model(images)
        value = loss(logits, labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value, logits
'''
"""Training steps by classes of a file ``steps.py``."""

"""A spec whose trainings see the same augmented images behind the same frozen layers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torchvision
from shared_specs import Log

from runner.core.stages import Stage

HEAD = """\
name: together
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8, crop: 8}
model: {name: convnet, filters: [4], batch_norm: true, freeze: features, linear: [5]}
train:
  epochs: 4
  batch_size: 8
  augment: [RandomHorizontalFlip, {name: RandomCrop, size: 8, padding: 1}]
  optimizer: {name: sgd, lr: 0.05, momentum: 0.9}
"""
RATES = HEAD + "sweep: {grid: {lr: [0.01, 0.03, 0.1]}}\n"

BRANCHES = (
    HEAD
    + """\
sweep:
  grid:
    lr: [0.01, 0.1]
    schedule: [{name: step, step_size: 2, gamma: 0.3}, {name: step, step_size: 2, gamma: 0.5}]
"""
)
"""Two beginnings, of two branches each."""

MANY = (
    HEAD.replace("linear: [5]", "linear: [5], dropout: 0.3, dropout_at: [hidden, output]")
    + """\
sweep:
  rows:
    - {label: slow, lr: 0.01}
    - {label: quick, lr: 0.07}
    - {label: clipped, clip_grad_norm: 0.1, optimizer: adam}
    - {label: short, epochs: 2}
    - {label: stepping, schedule: {name: step, step_size: 2, gamma: 0.3}, epochs: 5}
    - {label: patient, lr: 0.3, epochs: 9, early_stopping: {monitor: val_loss, patience: 1}}
    - {label: smoothed, train.loss.label_smoothing: 0.1}
    - {label: diverging, optimizer: {name: sgd, lr: 1.0e+30}}
"""
)
"""Seven trainings that differ in all that they may differ in; some end before others."""

UNFROZEN = RATES.replace(", freeze: features", "")

NETWORKS = """\
name: networks
data: {dataset: synthetic, classes: 3, images: 40, height: 32, width: 32, test: 0.2, split_seed: 3}
model:
  name: resnet18
  weights: {file: resnet18.pth, sha256: DIGEST}
  freeze: [conv1, bn1, layer1, layer2]
train:
  epochs: 2
  batch_size: 16
  drop_last: true
  augment: [RandomHorizontalFlip, {name: RandomCrop, size: 32, padding: 4}]
sweep:
  rows:
    - {label: slow, lr: 0.001}
    - {label: fast, lr: 0.01, optimizer: sgd}
    - label: another head
      model.cut: layer3
      model.head: {pool: average, hidden: [4], dropout: 0.5}
"""
"""A network of torchvision, frozen up to the middle, with weights of a file; two heads."""


def write_networks(folder: Path) -> Path:
    """Write the spec of networks of torchvision beside the file of their weights."""
    torch.manual_seed(0)
    file = folder / "resnet18.pth"
    torch.save(torchvision.models.resnet18().state_dict(), file)
    spec = folder / "networks.yaml"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    spec.write_text(NETWORKS.replace("DIGEST", digest), encoding="utf-8")
    return spec


class Heard(Log):
    """Remembers in which order trainings began and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.trainings: list[str] = []

    @property
    def most(self) -> int:
        """The most trainings that were at work at once."""
        numbers = [0]
        for each in self.trainings:
            numbers.append(numbers[-1] + (1 if each == "began" else -1))
        return max(numbers)

    def on_stage_start(self, stage: Stage) -> None:
        super().on_stage_start(stage)
        if stage.kind == "train":
            self.trainings.append("began")

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        super().on_stage_end(stage, status, seconds, message)
        if stage.kind == "train":
            self.trainings.append("ended")

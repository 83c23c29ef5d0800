"""`new_script`: a script, run by itself, prints the numbers that are recorded of its run."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from runner import api
from runner.artifacts.hashes import file_digest
from runner.components.models.torchvision_net import original
from runner.core.errors import UsageError

CLASSES = ("cat", "dog", "emu")
DENSE = """\
name: one
data: {dataset: digits, validation: 0.2}
model: {name: mlp, hidden: [16], dropout: 0.2, batch_norm: true}
train:
  epochs: 9
  batch_size: 100
  drop_last: true
  clip_grad_norm: 1.0
  optimizer: {name: sgd, lr: 0.2, momentum: 0.9, nesterov: true, weight_decay: 0.001}
  schedule: {name: step, step_size: 2, gamma: 0.3, warmup: 2}
  loss: {name: cross_entropy, label_smoothing: 0.1}
  early_stopping: {monitor: val_loss, patience: 1, tolerance: 0.2}
"""
CONVOLUTIONS = """\
name: one
data:
  dataset: digits
  validation: 0.1
  test: 0.5
  resize: 10
  normalize: {mean: [0.3], std: [0.2]}
model:
  name: convnet
  filters: [4, 8]
  batch_norm: true
  dropout: 0.1
  linear: [12]
  activation: silu
  init: kaiming_normal
  freeze: [features.block1]
train:
  epochs: 3
  optimizer: {name: adamw, lr: 0.01}
  schedule: {name: cosine, min_lr: 0.0001}
  augment:
    - {name: RandomHorizontalFlip, p: 0.3}
    - {name: RandomCrop, size: 10, padding: [2, 1], padding_mode: reflect}
    - {name: RandomVerticalFlip, p: 0.1}
  best: {monitor: val_loss}
evaluate: {train_eval: full, test: each_epoch}
"""
FOLDERS = """\
name: one
data:
  dataset: imagefolder
  path: photos
  validation: 0.25
  test: 0.25
  resize: 9
  crop: [8, 7]
  include: [cat, emu]
  per_class: 10
  normalize: {mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4]}
model: {name: mlp, hidden: [5]}
train:
  epochs: 4
  batch_size: 8
  schedule: {name: plateau, patience: 0, threshold: 0.5, factor: 0.5}
evaluate: {test: last}
"""
CIFAR = """\
name: one
data: {dataset: cifar10}
model: {name: convnet, filters: [4], stride: 2}
train: {epochs: 1, batch_size: 500, precision: bf16}
"""
WEIGHTS = """\
name: one
data: {{dataset: imagefolder, path: split, validation: 0.25, resize: 40, crop: 32}}
model:
  name: squeezenet1_1
  weights: {{file: squeezenet.pth, sha256: {sha256}}}
  freeze: [features.3, features.4]
train:
  epochs: 2
  batch_size: 8
  optimizer: {{name: adam, lr: 0.0005}}
  schedule: {{name: multistep, milestones: [1]}}
  best: {{monitor: last}}
"""


def draw_classes(root: Path, count: int) -> None:
    """Draw so many images of each class, brighter in one channel; some are transparent."""
    for label, name in enumerate(CLASSES):
        (root / name / "more").mkdir(parents=True)
        for number in range(count):
            draw = np.random.default_rng([label, number])
            pixels = draw.integers(0, 128, (44, 48, 4), np.uint8)
            pixels[:, :, label] += 80
            image = Image.fromarray(pixels if number == 1 else pixels[:, :, :3])
            image.save(root / name / ("more" if number == 2 else "") / f"{number}.png")


def dense() -> str:
    return DENSE


def convolutions() -> str:
    return CONVOLUTIONS


def fold_that_validates() -> str:
    fold = "test: 0.3, fold: {index: 2, of: 4}"
    return DENSE.replace("validation: 0.2", fold).replace("epochs: 9", "epochs: 1")


def fold_that_tests() -> str:
    fold = "validation: 0.2, split_seed: 5, fold: {index: 3, of: 3, held_out: test}"
    return DENSE.replace("validation: 0.2", fold).replace("epochs: 9", "epochs: 1")


def folders() -> str:
    draw_classes(Path("photos"), 12)
    return FOLDERS


def weights() -> str:
    draw_classes(Path("split/train"), 9)
    draw_classes(Path("split/test"), 4)
    torch.manual_seed(3)
    torch.save(original("squeezenet1_1", 1000).state_dict(), "squeezenet.pth")
    return WEIGHTS.format(sha256=file_digest(Path("squeezenet.pth")))


def cifar() -> str:
    return CIFAR


def printed(path: Path) -> dict[str, dict[str, float]]:
    """Run a script without this program, and return the numbers of each line that it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-I", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    found = {}
    for line in ended.stdout.splitlines():
        name, _, numbers = line.partition("  ")
        assert re.fullmatch(r"((best|test of) )?epoch \d+", name), line
        found[name] = {word: float(value) for word, value in re.findall(r"(\w+) (\S+)", numbers)}
    return found


def differences(found: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    return [name for name, value in found.items() if abs(value - recorded[name]) > 1e-4]


@pytest.mark.slow(7)
@pytest.mark.parametrize(
    "make",
    [
        dense,
        convolutions,
        folders,
        weights,
        fold_that_validates,
        fold_that_tests,
        pytest.param(cifar, marks=pytest.mark.data),
    ],
)
def test_a_script_prints_the_numbers_of_its_run(
    make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert callable(make)
    Path("one.yaml").write_text(make())
    api.run("one.yaml", device="cpu")
    made = api.new_script("one:0", "one.py")
    assert "runner" not in re.sub(r'""".*?"""', "", made.text, flags=re.S)
    record = api.show("one:0")
    epochs = {each["epoch"]: each for each in record["epochs"]}
    best, last = record["result"]["best_epoch"], record["result"]["last_epoch"]
    lines = printed(Path("one.py"))
    assert [name for name in lines if name.startswith("epoch")] == [
        f"epoch {number}" for number in range(1, last + 1)
    ]
    assert f"best epoch {best}" in lines
    for name, numbers in lines.items():
        assert differences(numbers, epochs[int(name.split()[-1])]) == []
    tested = {word for numbers in lines.values() for word in numbers}
    assert tested == {word for word in epochs[best] if word.endswith(("_loss", "_accuracy"))} | {
        word for word in epochs[last] if word.endswith(("_loss", "_accuracy"))
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("momentum: 0.9", "momentum: 0.9", ""),
        ("dataset: digits", "dataset: synthetic", "data: synthetic"),
        ("validation: 0.2", "validation: 0.2, train_images: 900", "data.train_images: 900"),
        ("label_smoothing: 0.1", "class_weights: balanced", "train.loss.class_weights: balanced"),
        ("drop_last: true", "sampling: balanced", "train.sampling: balanced"),
        ("drop_last: true", "augment: [RandomErasing]", "train.augment.steps.0: RandomErasing"),
        ("monitor: val_loss", "monitor: val_macro_f1", "train.early_stopping.monitor"),
    ],
)
def test_a_setting_without_a_script_is_named_before_anything_is_written(
    old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text(DENSE.replace(old, new).replace("epochs: 9", "epochs: 1"))
    api.run("one.yaml", device="cpu")
    if said:
        with pytest.raises(UsageError, match=f"this run uses {said}") as refused:
            api.new_script("one:0", "one.py")
        assert "for which no script is written" in str(refused.value)
        assert not Path("one.py").exists()
        return
    api.new_script("one:0", "one.py")
    with pytest.raises(UsageError, match=r"one\.py is there already"):
        api.new_script("one:0", "one.py")

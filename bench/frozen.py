"""The part `frozen` of bench/planner.py: four rates on a frozen AlexNet at 224 pixels.

Three sides: `run`, `run --no-share`, and the script that people write (bench/plain_frozen.py, one
process a rate, with DataLoader workers and without: the faster counts).
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WEIGHTS = "weights/alexnet_features-imagenet1k_v1.pth"
SHA256 = "ca5972bc284509c8aa9913fd0b6478bc37231279e429e29710aa97f1ca46ddaf"
RATES = (0.001, 0.002, 0.005, 0.01)
FIRST_CLASS = 6
"""Twenty classes from `anchor` on, in the order of their names."""
NUM_CLASSES = 20

SPEC = """\
name: frozen
about: Four learning rates on AlexNet, its convolutional part frozen.
data:
  dataset: imagefolder
  path: twenty
  validation: 0.5
  test: 0.33
  resize: 256
  crop: 224
  normalize: imagenet
model:
  name: alexnet
  weights: {{file: {weights}, sha256: {sha256}, missing: [{missing}]}}
  freeze: features
{head}train:
  epochs: {epochs}
  batch_size: 256
  drop_last: true
  optimizer: {{name: sgd, momentum: 0.9, weight_decay: 5e-5}}
evaluate: {{train_eval: full}}
sweep:
  grid: {{lr: [{rates}]}}
"""


def frozen(data: Path, repetitions: int) -> list[str]:
    """Measure three linear layers as the head, and one; return the report's lines."""
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary) / "twenty"
        count = _copy(data, images)
        lines = [f"{count} images of {NUM_CLASSES} classes.", ""]
        for head, epochs, aims in (("whole", 5, (2.5, 4.0)), ("linear", 10, (8.0, None))):
            lines += [*_one(data, images, head, epochs, aims, repetitions), ""]
    return lines


def _copy(data: Path, target: Path) -> int:
    source = data / "caltech101" / "101_ObjectCategories"
    names = sorted(each.name for each in source.iterdir() if each.is_dir())
    for name in names[FIRST_CLASS : FIRST_CLASS + NUM_CLASSES]:
        shutil.copytree(source / name, target / name)
    return sum(1 for _ in target.rglob("*.jpg"))


def _one(
    data: Path,
    images: Path,
    head: str,
    epochs: int,
    aims: tuple[float, float | None],
    repetitions: int,
) -> list[str]:
    sides: dict[str, list[float]] = {"`run`": [], "`run --no-share`": [], "plain script": []}
    for _ in range(repetitions):
        sides["`run`"].append(_program(data, images, head, epochs))
        sides["`run --no-share`"].append(_program(data, images, head, epochs, "--no-share"))
        plain = [_plain(data, images, head, epochs, workers) for workers in (0, 2)]
        sides["plain script"].append(min(plain))
    name = "three linear layers" if head == "whole" else "one linear layer"
    lines = [
        f"### {name}, {epochs} epochs",
        "",
        "| side | median s | fastest s | slowest s | × `run` | aim |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    base = statistics.median(sides["`run`"])
    for (side, seconds), aim in zip(sides.items(), (None, *aims), strict=True):
        median = statistics.median(seconds)
        wanted = "" if aim is None else f"at least {aim:g} ×"
        lines.append(
            f"| {side} | {median:.1f} | {min(seconds):.1f} | {max(seconds):.1f} |"
            f" {median / base:.1f} | {wanted} |"
        )
    return lines


def _program(data: Path, images: Path, head: str, epochs: int, *flags: str) -> float:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spec = SPEC.format(
            weights=data / WEIGHTS,
            sha256=SHA256,
            missing="" if head == "linear" else "classifier",
            head="  cut: avgpool\n" if head == "linear" else "",
            epochs=epochs,
            rates=", ".join(str(rate) for rate in RATES),
        )
        (folder / "spec.yaml").write_text(spec, encoding="utf-8")
        command = [sys.executable, "-m", "runner", "run", "spec.yaml", "--data", str(images.parent)]
        started = time.perf_counter()
        subprocess.run([*command, *flags], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - started


def _plain(data: Path, images: Path, head: str, epochs: int, workers: int) -> float:
    script = Path(__file__).with_name("plain_frozen.py")
    started = time.perf_counter()
    for rate in RATES:
        words = [str(images), str(data / WEIGHTS), str(rate), str(epochs), str(workers), head]
        subprocess.run([sys.executable, str(script), *words], check=True, capture_output=True)
    return time.perf_counter() - started

"""The parts `frozen` and `linear` of bench/planner.py: four rates on a frozen AlexNet, 224 pixels.

Three sides: `run`, `run --no-share`, and the script that people write (bench/plain_frozen.py, one
process a rate, with DataLoader workers and without: the one that is faster at first counts).
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

WEIGHTS = "weights/alexnet_features-imagenet1k_v1.pth"
SHA256 = "ca5972bc284509c8aa9913fd0b6478bc37231279e429e29710aa97f1ca46ddaf"
RATES = (0.001, 0.002, 0.005, 0.01)
FIRST_CLASS = 6
"""Twenty classes from `anchor` on, in the order of their names."""
NUM_CLASSES = 20
SMALL_CLASSES, SMALL_IMAGES, SMALL_EPOCHS, SMALL_BATCH = 10, 30, 5, 64

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
  batch_size: {batch}
  drop_last: true
  optimizer: {{name: sgd, momentum: 0.9, weight_decay: 5e-5}}
evaluate: {{train_eval: full}}
sweep:
  grid: {{lr: [{rates}]}}
"""


def frozen(data: Path, repetitions: int, workers: tuple[int, ...]) -> list[str]:
    """Measure AlexNet's own three linear layers, against both other sides."""
    with _twenty(data) as images:
        return _one(data, images, "whole", 5, (2.5, 4.0), repetitions, workers)


def linear(data: Path, repetitions: int, workers: tuple[int, ...]) -> list[str]:
    """Measure one linear layer as the head, against `--no-share`; then another head."""
    with _twenty(data) as images:
        return _one(data, images, "linear", 10, (8.0, None), repetitions, workers)


@contextmanager
def _twenty(data: Path) -> Iterator[Path]:
    """Yield a folder of the twenty classes."""
    source = data / "caltech101" / "101_ObjectCategories"
    names = sorted(each.name for each in source.iterdir() if each.is_dir())
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary) / "twenty"
        for name in names[FIRST_CLASS : FIRST_CLASS + NUM_CLASSES]:
            shutil.copytree(source / name, images / name)
        yield images


def _one(
    data: Path,
    images: Path,
    head: str,
    epochs: int,
    aims: tuple[float, float | None],
    repetitions: int,
    workers: tuple[int, ...],
) -> list[str]:
    sides: dict[str, list[float]] = {"`run`": [], "`run --no-share`": []}
    others, differences = [], []
    for _ in range(repetitions):
        with _folder(data, images, head, epochs) as shared:
            sides["`run`"].append(_program(images, shared))
            with _folder(data, images, head, epochs) as alone:
                sides["`run --no-share`"].append(_program(images, alone, "--no-share"))
                differences.append(_difference(shared, alone))
            if head == "linear":
                others.append(_another_head(data, images, shared, epochs))
        if aims[1] is not None:
            plain = {each: _plain(data, images, head, epochs, each) for each in workers}
            workers = (min(plain, key=lambda each: plain[each]),)
            sides.setdefault(f"plain script, {workers[0]} workers", []).append(min(plain.values()))
    count = sum(1 for _ in images.rglob("*.jpg"))
    lines = [
        f"{count} images of {NUM_CLASSES} classes, {epochs} epochs.",
        "",
        "| side | median s | fastest s | slowest s | × `run` | aim |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    base = statistics.median(sides["`run`"])
    for (side, seconds), aim in zip(sides.items(), (None, *aims), strict=False):
        median = statistics.median(seconds)
        wanted = "" if aim is None else f"at least {aim:g} ×"
        lines.append(
            f"| {side} | {median:.1f} | {min(seconds):.1f} | {max(seconds):.1f} |"
            f" {median / base:.1f} | {wanted} |"
        )
    lines += [
        "",
        f"Accuracies of both sides differ by {max(differences):.4f} at most (promised: 0.005).",
    ]
    if others:
        lines.append(
            "Another head (64 units before the last layer) afterwards:"
            f" {statistics.median(others):.1f} s, its features read from the cache."
        )
    return lines


@contextmanager
def _folder(data: Path, images: Path, head: str, epochs: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        _write_spec(Path(temporary), data, head, epochs)
        yield Path(temporary)


def _write_spec(
    folder: Path, data: Path, head: str, epochs: int, rates: Sequence[float] = RATES
) -> None:
    heads = {
        "whole": "",
        "linear": "  cut: avgpool\n",
        "another": "  cut: avgpool\n  head: {hidden: [64]}\n",
    }
    text = SPEC.format(
        weights=data / WEIGHTS,
        sha256=SHA256,
        missing="classifier" if head == "whole" else "",
        head=heads[head],
        epochs=epochs,
        batch=256 if rates is RATES else SMALL_BATCH,
        rates=", ".join(str(rate) for rate in rates),
    )
    (folder / "spec.yaml").write_text(text, encoding="utf-8")


def _program(images: Path, folder: Path, *flags: str) -> float:
    command = [sys.executable, "-m", "runner", "run", "spec.yaml", "--data", str(images.parent)]
    started = time.perf_counter()
    subprocess.run([*command, *flags], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def write_small(folder: Path, data: Path) -> None:
    """Write two rates on a part of the images into a folder, with the images."""
    source = data / "caltech101" / "101_ObjectCategories"
    names = sorted(each.name for each in source.iterdir() if each.is_dir())
    for name in names[FIRST_CLASS : FIRST_CLASS + SMALL_CLASSES]:
        (folder / "twenty" / name).mkdir(parents=True)
        for image in sorted((source / name).glob("*.jpg"))[:SMALL_IMAGES]:
            shutil.copy(image, folder / "twenty" / name)
    _write_spec(folder, data, "whole", SMALL_EPOCHS, RATES[:2])


def _another_head(data: Path, images: Path, folder: Path, epochs: int) -> float:
    """Run another head where the first one ran; features must not be extracted again."""
    before = _extractions(folder)
    _write_spec(folder, data, "another", epochs)
    seconds = _program(images, folder)
    assert _extractions(folder) == before == 1
    return seconds


def _extractions(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "results.db")) as database:
        query = (
            "select count(*) from attempts join stages on stages.stage_key = attempts.stage_key"
            " where stages.kind = 'features'"
        )
        return int(database.execute(query).fetchone()[0])


def _difference(*folders: Path) -> float:
    """The greatest difference between the two sides' accuracies."""
    query = "select lr, val_accuracy, test_accuracy from run_summary"
    found = []
    for folder in folders:
        with closing(sqlite3.connect(folder / "results.db")) as database:
            found.append(database.execute(query).fetchall())
    one = {row[0]: row[1:] for row in found[1]}
    rows = [(row[1:], one[row[0]]) for row in found[0] if row[0] in one]
    assert len(rows) == len(RATES), found
    return max(abs(float(a - b)) for left, right in rows for a, b in zip(left, right, strict=True))


def _plain(data: Path, images: Path, head: str, epochs: int, workers: int) -> float:
    script = Path(__file__).with_name("plain_frozen.py")
    started = time.perf_counter()
    for rate in RATES:
        words = [str(images), str(data / WEIGHTS), str(rate), str(epochs), str(workers), head]
        subprocess.run([sys.executable, str(script), *words], check=True, capture_output=True)
    return time.perf_counter() - started

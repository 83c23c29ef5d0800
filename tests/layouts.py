"""Tiny data sets in the layouts of the official ones.

A data set that reads files has a line in ``LAYOUTS``, so that tests of all components can read it.
"""

import gzip
import io
import pickle
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.components.data.dataset import MissingData


def write_photos(root: Path) -> Path:
    """Write a folder ``photos`` with two class folders of images."""
    draw = np.random.default_rng(2)
    for label in range(2):
        home = root / "photos" / str(label)
        home.mkdir(parents=True)
        for number in range(10):
            pixels = draw.integers(0, 128 * (label + 1), (12, 15, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(home / f"{number}.png")
    return root / "photos"


def write_table(root: Path) -> Path:
    """Write a table ``photos.csv`` of the images of ``photos``, of which the last are test."""
    photos = write_photos(root)
    lines = [
        f"photos/{path.relative_to(photos).as_posix()},class {path.parent.name},"
        f"{'test' if path.stem > '6' else 'train'}"
        for path in sorted(photos.rglob("*.png"))
    ]
    table = root / "photos.csv"
    table.write_text("\n".join(["path,label,split", *lines]))
    return table


def write_arrays(root: Path) -> Path:
    """Write ``photos.npz`` with gray images of two classes in three splits."""
    draw = np.random.default_rng(6)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 30), ("val", 8), ("test", 10)):
        labels = np.arange(count) % 2
        noise = draw.integers(0, 128, (count, 9, 8))
        arrays[f"{split}_images"] = (noise * (labels[:, None, None] + 1)).astype(np.uint8)
        arrays[f"{split}_labels"] = labels[:, None].astype(np.uint8)
    np.savez_compressed(root / "photos.npz", **arrays)
    return root / "photos.npz"


def write_caltech101(
    root: Path, classes: tuple[str, ...] = ("ant", "Bass"), count: int = 9
) -> Path:
    """Write class folders with images of several sizes, one gray, and a background class."""
    home = root / "caltech101" / "101_ObjectCategories"
    draw = np.random.default_rng(3)
    for label, name in enumerate((*classes, "BACKGROUND_Google")):
        (home / name).mkdir(parents=True)
        for number in range(1, count + 1):
            pixels = draw.integers(0, 60 * (label + 1), (20 + number, 24, 3)).astype(np.uint8)
            image = Image.fromarray(pixels).convert("L" if number == 2 else "RGB")
            image.save(home / name / f"image_{number:04d}.jpg")
    return home


def write_cifar(root: Path, kind: str, per_file: int = 20) -> Path:
    """Write the files of ``cifar10`` or ``cifar100`` with random images; labels count through."""
    small = kind == "cifar10"
    home = root / ("cifar-10-batches-py" if small else "cifar-100-python")
    home.mkdir(parents=True)
    files = [f"data_batch_{number}" for number in range(1, 6)] if small else ["train"]
    files.append("test_batch" if small else "test")
    key, num_classes = ("labels", 10) if small else ("fine_labels", 100)
    draw = np.random.default_rng(4)
    count = per_file if small else 10 * per_file
    for name in files:
        labels = [index % num_classes for index in range(count)]
        data = draw.integers(0, 256, (count, 3072)).astype(np.uint8)
        (home / name).write_bytes(pickle.dumps({"data": data, key: labels}, protocol=2))
    names = [f"class {label}" for label in range(num_classes)]
    meta = {"label_names" if small else "fine_label_names": names}
    (home / ("batches.meta" if small else "meta")).write_bytes(pickle.dumps(meta, protocol=2))
    return home


def write_mnist(root: Path, folder: str, per_class: int = 7, suffix: str = ".gz") -> Path:
    """Write four IDX files: random images, labels that count through, a third as many to test."""
    home = root / folder
    home.mkdir(parents=True)
    draw = np.random.default_rng([6, *folder.encode()])
    for part, count in (("train", 10 * per_class), ("t10k", 10 * per_class // 3)):
        pixels = draw.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images", pixels), ("labels", labels)):
            file = home / f"{part}-{name}-idx{array.ndim}-ubyte{suffix}"
            content = idx_bytes(array)
            file.write_bytes(gzip.compress(content, mtime=0) if suffix else content)
    return home


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of bytes as an IDX file has it."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


LAYOUTS: Mapping[str, Callable[[Path], object]] = {
    "imagefolder": write_photos,
    "table": write_table,
    "arrays": write_arrays,
    "caltech101": write_caltech101,
    "cifar10": partial(write_cifar, kind="cifar10"),
    "cifar100": partial(write_cifar, kind="cifar100"),
    "mnist": partial(write_mnist, folder="MNIST/raw"),
    "fashion_mnist": partial(write_mnist, folder="FashionMNIST/raw"),
    "kmnist": partial(write_mnist, folder="KMNIST/raw"),
}
"""From the name of a data set to what writes a tiny one below a folder for data sets."""


@contextmanager
def write_files(dataset: str, root: Path) -> Iterator[None]:
    """Write the files of a data set, where it reads any; fail if those it then lacks are others."""
    if dataset in LAYOUTS:
        LAYOUTS[dataset](root)
    try:
        yield
    except MissingData as missing:
        looked = ", ".join(str(each.relative_to(root)) for each in missing.looked)
        pytest.fail(
            f"data set {dataset} needs files: add to LAYOUTS in tests/layouts.py a function that"
            f" writes a tiny one below a folder (it looked for {looked} there: {missing})"
        )


def pack_cifar(kind: str) -> bytes:
    """Return a .tar.gz of what :func:`write_cifar` writes."""
    with tempfile.TemporaryDirectory() as root:
        return tar_gz(write_cifar(Path(root), kind))


def pack_caltech101(inner: str) -> bytes:
    """Return a .zip that holds, at ``inner``, a .tar.gz of what :func:`write_caltech101` writes."""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as root, zipfile.ZipFile(packed, "w") as outer:
        outer.writestr(inner, tar_gz(write_caltech101(Path(root))))
    return packed.getvalue()


def tar_gz(folder: Path) -> bytes:
    """Return a .tar.gz that holds a folder under its name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, folder.name)
    return packed.getvalue()

"""Tiny data sets in the layouts of the official ones.

A data set that reads files has a line in ``LAYOUTS``, so that tests of all components can read it.
"""

import gzip
import io
import json
import pickle
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from runner.components.data.finding import MissingData
from runner.components.data.imagenette import CLASSES


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


def write_svhn(root: Path, count: int = 80) -> Path:
    """Write the two MATLAB files; digits count through, and 0 is called 10."""
    home = root / "svhn"
    home.mkdir(parents=True)
    draw = np.random.default_rng(7)
    for part, size in (("train", count), ("test", count // 2)):
        pixels = draw.integers(0, 256, (32, 32, 3, size)).astype(np.uint8)
        digits = (np.arange(size) % 10 + 1).astype(np.uint8)[:, None]
        savemat(home / f"{part}_32x32.mat", {"X": pixels, "y": digits})
    return home


def write_stl10(root: Path, count: int = 80) -> Path:
    """Write the binary files; labels count through from 1."""
    home = root / "stl10_binary"
    home.mkdir(parents=True)
    draw = np.random.default_rng(8)
    for part, size in (("train", count), ("test", count // 2)):
        pixels = draw.integers(0, 256, (size, 3, 96, 96)).astype(np.uint8)
        (home / f"{part}_X.bin").write_bytes(pixels.tobytes())
        (home / f"{part}_y.bin").write_bytes((np.arange(size) % 10 + 1).astype(np.uint8).tobytes())
    names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
    (home / "class_names.txt").write_text("".join(f"{name}\n" for name in names))
    return home


def write_photo(path: Path, draw: np.random.Generator, side: int = 12) -> None:
    """Write one square colour photograph, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = draw.integers(0, 256, (side, side, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")


def write_flowers102(root: Path) -> Path:
    """Write twelve photographs of three classes, which are in the parts by turns."""
    home = root / "flowers-102"
    draw = np.random.default_rng(9)
    for number in range(1, 19):
        write_photo(home / "jpg" / f"image_{number:05d}.jpg", draw)
    labels = np.array([[77, 1, 102] * 6], np.uint8)
    parts = {"trnid": [[6, 1, 2, 3, 4, 5]], "valid": [[7, 8, 9]], "tstid": [[*range(10, 19)]]}
    savemat(home / "imagelabels.mat", {"labels": labels})
    savemat(home / "setid.mat", {name: np.array(ids, "<u2") for name, ids in parts.items()})
    return home


def write_oxford_iiit_pet(root: Path) -> Path:
    """Write photographs of 37 breeds and the two lists."""
    home = root / "oxford-iiit-pet"
    (home / "annotations" / "trimaps").mkdir(parents=True)
    draw = np.random.default_rng(10)
    lists: dict[str, list[str]] = {"trainval": [], "test": []}
    others = (f"breed_{chr(ord('a') + number // 6)}{number % 6}" for number in range(34))
    for label, breed in enumerate(("Abyssinian", "great_pyrenees", "Bengal", *others), start=1):
        for number in range(1, 7):
            write_photo(home / "images" / f"{breed}_{number}.jpg", draw)
            part = "trainval" if number <= 5 else "test"
            lists[part].append(f"{breed}_{number} {label} {1 + (label == 2)} 1\n")
    for part, lines in lists.items():
        (home / "annotations" / f"{part}.txt").write_text("".join(lines))
    return home


def write_food101(root: Path) -> Path:
    """Write photographs of three dishes and the two lists."""
    home = root / "food-101"
    (home / "meta").mkdir(parents=True)
    draw = np.random.default_rng(11)
    lists: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for dish in ("waffles", "apple_pie", "sushi"):
        for number in range(1, 13):
            write_photo(home / "images" / dish / f"{number * 7}.jpg", draw)
            part = lists["train" if number <= 8 else "test"]
            part.setdefault(dish, []).append(f"{dish}/{number * 7}")
    for name, listed in lists.items():
        (home / "meta" / f"{name}.json").write_text(json.dumps(listed))
    return home


def write_eurosat(root: Path) -> Path:
    """Write class folders of images of 64×64 pixels."""
    home = root / "eurosat" / "2750"
    draw = np.random.default_rng(12)
    for name in ("AnnualCrop", "Forest", "SeaLake"):
        for number in range(1, 11):
            write_photo(home / name / f"{name}_{number}.jpg", draw, side=64)
    return home


def write_dtd(root: Path) -> Path:
    """Write photographs of two textures and the lists of two partitions."""
    home = root / "dtd" / "dtd"
    (home / "labels").mkdir(parents=True)
    draw = np.random.default_rng(13)
    for partition in (1, 2):
        for turn, part in enumerate(("train", "val", "test")):
            lines = []
            for kind in ("dotted", "banded"):
                for number in range(3):
                    name = f"{kind}/{kind}_{(turn + partition) % 3 * 3 + number:04d}.jpg"
                    write_photo(home / "images" / name, draw)
                    lines.append(f"{name}\n")
            (home / "labels" / f"{part}{partition}.txt").write_text("".join(lines))
    return home


def write_imagenette(root: Path, folder: str = "imagenette2") -> Path:
    """Write class folders below `train` and `val`."""
    home = root / folder
    draw = np.random.default_rng(14)
    for wnid in CLASSES:
        for part, count in (("train", 6), ("val", 2)):
            for number in range(count):
                write_photo(home / part / wnid / f"{wnid}_{number}.JPEG", draw)
    return home


def encoded(draw: np.random.Generator, side: int = 12) -> bytes:
    """Return a random image in PNG."""
    file = io.BytesIO()
    pixels = draw.integers(0, 256, (side, side, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_parquet(
    path: Path,
    labels: Sequence[int | str | None],
    names: Sequence[str] | None = ("cat", "dog"),
    columns: tuple[str, str] = ("image", "label"),
    rows: int = 3,
) -> None:
    """Write a file as the Hugging Face Hub has them, in groups of few rows; images are drawn."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    draw = np.random.default_rng(len(path.name) + len(labels))
    pictures = [{"bytes": encoded(draw), "path": f"{row}.png"} for row in range(len(labels))]
    table = arrow.table({columns[0]: pictures, columns[1]: list(labels)})
    if names is not None:
        features: dict[str, object] = {columns[0]: {"_type": "Image"}}
        features[columns[1]] = {"names": list(names), "_type": "ClassLabel"}
        stated = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": stated})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=rows)


def write_huggingface(root: Path, folder: str = "huggingface/owner/set@main") -> Path:
    """Write Parquet files of three splits, the training images in two."""
    pytest.importorskip("datasets")
    home = root / folder
    for name, count in (("train-00000-of-00002", 10), ("train-00001-of-00002", 7)):
        write_parquet(home / "data" / f"{name}.parquet", [row % 2 for row in range(count)])
    for part, count in (("validation", 4), ("test", 6)):
        write_parquet(home / "data" / f"{part}-00000-of-00001.parquet", [1, 0] * (count // 2))
    return home


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
    "svhn": write_svhn,
    "stl10": write_stl10,
    "flowers102": write_flowers102,
    "oxford_iiit_pet": write_oxford_iiit_pet,
    "food101": write_food101,
    "eurosat": write_eurosat,
    "dtd": write_dtd,
    "imagenette": write_imagenette,
    "huggingface": write_huggingface,
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

"""MNIST, Fashion-MNIST and KMNIST in their official files, against torchvision's readers."""

import gzip
import hashlib
import os
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import idx_bytes, write_mnist
from servers import Server
from torchvision import datasets

from runner import api
from runner.artifacts.hashes import HashCache
from runner.components.data.archives import Fetchable, PublicFile
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import MissingData
from runner.components.data.mnist import FashionMnist, IdxImages, Kmnist, Mnist, read_idx

FASHION = FashionMnist(dataset="fashion_mnist")
SETS = [
    (Mnist(dataset="mnist"), datasets.MNIST),
    (FASHION, datasets.FashionMNIST),
    (Kmnist(dataset="kmnist"), datasets.KMNIST),
]


def built(data: IdxImages, root: Path) -> ImageSource:
    return data.build(DataAccess((root,), HashCache(root / "hashes").hash_files))


@pytest.mark.parametrize(("data", "theirs"), SETS, ids=[data.dataset for data, _ in SETS])
def test_images_labels_and_classes_are_those_of_torchvision(
    tmp_path: Path, data: IdxImages, theirs: type
) -> None:
    write_mnist(tmp_path, data.layout.archive.folder, suffix="")
    source = built(data, tmp_path)
    halves = [theirs(tmp_path, train=train) for train in (True, False)]
    images = np.concatenate([half.data.numpy() for half in halves])
    labels = [int(label) for half in halves for label in half.targets]
    assert source.splits == ("train",) * len(halves[0]) + ("test",) * len(halves[1])
    assert list(source.labels) == labels
    assert [np.asarray(source.read(index)).tolist() for index in range(len(labels))] == (
        images.tolist()
    )
    assert [name.removesuffix(f" - {word}") for name, word in _words(halves[0].classes)] == list(
        source.classes
    )


def _words(classes: list[str]) -> list[tuple[str, str]]:
    return [(name, name.partition(" - ")[2] or "none") for name in classes]


@pytest.mark.parametrize(("data", "theirs"), SETS, ids=[data.dataset for data, _ in SETS])
def test_files_and_checksums_are_those_of_torchvision(data: IdxImages, theirs: type) -> None:
    expected = {(f"{theirs.mirrors[0]}{name}", md5) for name, md5 in theirs.resources}
    assert {(file.url, file.md5) for file in data.layout.archive.files} == expected
    assert data.layout.archive.folder == f"{theirs.__name__}/raw"


def test_a_file_is_the_same_packed_and_unpacked(tmp_path: Path) -> None:
    folder = FASHION.layout.archive.folder
    write_mnist(tmp_path / "packed", folder)
    write_mnist(tmp_path / "plain", folder, suffix="")
    packed, plain = built(FASHION, tmp_path / "packed"), built(FASHION, tmp_path / "plain")
    assert packed.fingerprint == plain.fingerprint
    assert packed.labels == plain.labels


def test_a_packages_folder_is_found_too(tmp_path: Path) -> None:
    write_mnist(tmp_path, "fashion-mnist")
    assert built(FASHION, tmp_path).root == tmp_path / "fashion-mnist"


def test_other_pixels_or_labels_are_another_fingerprint(tmp_path: Path) -> None:
    home = write_mnist(tmp_path, "FashionMNIST/raw", suffix="")
    found = {built(FASHION, tmp_path).fingerprint}
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        content = bytearray((home / name).read_bytes())
        content[-1] ^= 1
        (home / name).write_bytes(content)
        found.add(built(FASHION, tmp_path).fingerprint)
    assert len(found) == 3


PLAIN = "t10k-labels-idx1-ubyte"
LABELS = idx_bytes(np.zeros(23, np.uint8))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "unpack requires a buffer of 4 bytes"),
        (b"\x89PNG\r\n\x1a\n", "it begins with 89 50 4e 47"),
        (b"\x00\x00\x0d\x01" + LABELS[4:], "it begins with 00 00 0d 01"),
        (LABELS[:-1], "it should hold 23 values, but holds 22"),
        (LABELS + b"\x00", "it should hold 23 values, but holds more"),
        (idx_bytes(np.zeros((4, 5), np.uint8)), "it begins with 00 00 08 02"),
    ],
    ids=["empty", "another format", "floats", "cut off", "too long", "two dimensions"],
)
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / PLAIN).write_bytes(content)
    with pytest.raises(OSError, match="is not a file of 1-dimensional IDX") as refused:
        read_idx(tmp_path / PLAIN, 1)
    assert str(refused.value).endswith(f": {what}")
    (tmp_path / PLAIN).rename(tmp_path / "gone")
    (tmp_path / f"{PLAIN}.gz").write_bytes(gzip.compress(content))
    with pytest.raises(OSError, match="is not a file of 1-dimensional IDX"):
        read_idx(tmp_path / PLAIN, 1)


@pytest.mark.parametrize("sides", [(2**32 - 1,) * 3, (1024, 65535, 65535)])
def test_head_that_names_more_than_memory_holds_is_refused(
    tmp_path: Path, sides: tuple[int, int, int]
) -> None:
    head = b"\x00\x00\x08\x03" + struct.pack(">3I", *sides)
    (tmp_path / PLAIN).write_bytes(head + bytes(5))
    with pytest.raises(OSError, match=r"it should hold [\d,]+ values, but holds 5"):
        read_idx(tmp_path / PLAIN, 3)


def test_what_is_no_gzip_is_refused_and_a_missing_file_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"neither .*{PLAIN} nor {PLAIN}.gz beside it is there"):
        read_idx(tmp_path / PLAIN, 1)
    (tmp_path / f"{PLAIN}.gz").write_bytes(LABELS)
    with pytest.raises(OSError, match=r"ubyte\.gz is not a file of .*: Not a gzipped file"):
        read_idx(tmp_path / PLAIN, 1)
    (tmp_path / f"{PLAIN}.gz").write_bytes(gzip.compress(LABELS)[:-9])
    with pytest.raises(OSError, match=r"ubyte\.gz is not a file of"):
        read_idx(tmp_path / PLAIN, 1)


@pytest.mark.parametrize(
    ("name", "array", "what"),
    [
        ("t10k-labels-idx1-ubyte", np.zeros(5, np.uint8), "23 images of t10k, but 5 labels"),
        ("t10k-labels-idx1-ubyte", np.full(23, 10, np.uint8), "label 10, but the classes are 0"),
        ("t10k-images-idx3-ubyte", np.zeros((23, 8, 8), np.uint8), "of t10k are not 28×28"),
    ],
    ids=["number of labels", "label", "size"],
)
def test_files_that_do_not_go_together_are_refused(
    tmp_path: Path, name: str, array: np.ndarray, what: str
) -> None:
    home = write_mnist(tmp_path, "FashionMNIST/raw", suffix="")
    (home / name).write_bytes(idx_bytes(array))
    with pytest.raises(OSError, match=what):
        built(FASHION, tmp_path)


def test_missing_files_are_named_with_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(MissingData) as missing:
        built(FASHION, tmp_path)
    assert missing.value.looked == (tmp_path / "FashionMNIST" / "raw", tmp_path / "fashion-mnist")
    assert missing.value.how_to_get == (
        "`runner run` downloads it (30.9 MB) unless --no-download is given; or fetch"
        " train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and"
        " t10k-labels-idx1-ubyte.gz from http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
        " by hand and put them, as they are, into FashionMNIST/raw under --data (RUNNER_DATA) or"
        " ./data"
    )


def test_four_files_are_fetched_once(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write_mnist(tmp_path / "published", "raw")
    files = []
    for file in FASHION.layout.archive.files:
        content = (home / file.name).read_bytes()
        server.files[file.name] = content
        url, md5 = f"{server.url}/{file.name}", hashlib.md5(content).hexdigest()
        files.append(PublicFile(url, md5, len(content)))
    archive = replace(FASHION.layout.archive, files=tuple(files))
    layout = replace(FASHION.layout, archive=archive)
    monkeypatch.setattr(FashionMnist, "layout", layout)

    def fetch(public: Fetchable, root: Path) -> None:
        public.fetch(root, lambda progress: None)

    hash_files = HashCache(tmp_path / "hashes").hash_files
    access = DataAccess((tmp_path / "data",), hash_files, fetch)
    source = FASHION.build(access)
    assert source.root == tmp_path / "data" / "FashionMNIST" / "raw"
    assert source.fingerprint == FASHION.build(access).fingerprint
    assert server.asked == [file.name for file in files]


@pytest.mark.data
def test_real_fashion_mnist_has_its_images_and_classes() -> None:
    root = Path(os.environ["RUNNER_DATA"])
    try:
        source = built(FASHION, root)
    except MissingData:
        pytest.skip("Fashion-MNIST is not below RUNNER_DATA")
    assert Counter(source.splits) == {"train": 60_000, "test": 10_000}
    assert Counter(source.labels[:60_000]) == dict.fromkeys(range(10), 6000)
    assert Counter(source.labels[60_000:]) == dict.fromkeys(range(10), 1000)
    assert [source.classes[label] for label in source.labels[:2]] == ["Ankle boot", "T-shirt/top"]
    first = np.asarray(source.read(0))
    assert (first.shape, int(first.max()), int(first.sum())) == ((28, 28), 255, 76_247)


@pytest.mark.data
@pytest.mark.slow(40)
def test_real_fashion_mnist_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        built(FASHION, Path(os.environ["RUNNER_DATA"]))
    except MissingData:
        pytest.skip("Fashion-MNIST is not below RUNNER_DATA")
    monkeypatch.chdir(tmp_path)
    spec = Path(__file__).resolve().parents[2] / "experiments" / "fashion_mnist.yaml"
    only, sets = ["two convolutions"], ["epochs=2", "train_images=12000"]
    rows = api.run(spec, only=only, sets=sets, device="cpu").frame()
    (row,) = [each for each in rows.to_dict("records") if each["status"] == "done"]
    assert row["test_accuracy"] > 0.8

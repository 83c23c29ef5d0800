"""Images and labels in an .npz file: official splits, checked shapes, no pickles, lazy pixels."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from runner.components.data.arrays import Arrays
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.files import ChangedFile
from runner.components.data.finding import MissingData
from runner.components.data.invalid import InvalidData

DRAW = np.random.default_rng(8)
OBJECTS = np.array([{"a": 1}] * 6, dtype=object)


def pixels(*shape: int) -> Any:
    return DRAW.integers(0, 256, shape).astype(np.uint8)


def medmnist(**others: Any) -> dict[str, Any]:
    """Return arrays as in MedMNIST: 6 training, 3 validation and 4 test images of 3 classes."""
    arrays = {}
    for split, labels in (("train", [2, 0, 10, 0, 2, 10]), ("val", [0, 2, 10]), ("test", [0] * 4)):
        arrays[f"{split}_images"] = pixels(len(labels), 5, 4, 3)
        arrays[f"{split}_labels"] = np.array(labels, np.uint8)[:, None]
    return {name: array for name, array in {**arrays, **others}.items() if array is not None}


def save(folder: Path, arrays: dict[str, Any], name: str = "a.npz", packed: bool = True) -> Path:
    (np.savez_compressed if packed else np.savez)(folder / name, **arrays)
    return folder / name


def hash_files(root: Path, names: Sequence[str]) -> list[str]:
    return [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names]


def build(path: Path, **settings: Any) -> ImageSource:
    return Arrays(dataset="arrays", path=str(path), **settings).build(DataAccess((), hash_files))


def test_arrays_of_medmnist_have_their_official_splits(tmp_path: Path) -> None:
    arrays = medmnist(extra=OBJECTS)
    path = save(tmp_path, arrays)
    source = build(path)
    assert source.splits == ("train",) * 6 + ("val",) * 3 + ("test",) * 4
    assert source.classes == ("0", "2", "10")
    assert source.labels == (1, 0, 2, 0, 1, 2, 0, 1, 2, 0, 0, 0, 0)
    assert source.names[5:7] == ("train/00000005", "val/00000000")
    assert source.notes == (
        f"splits of {path}: train (6 training images), val (3 validation images), test (4 test"
        " images); 3 classes: 0, 2, 10",
        f"{path}: test has no images of 2, 10",
    )
    for index, expected in (
        (0, arrays["train_images"][0]),
        (6, arrays["val_images"][0]),
        (12, arrays["test_images"][3]),
    ):
        np.testing.assert_array_equal(np.asarray(source.read(index)), expected)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
@pytest.mark.parametrize("packed", [True, False])
def test_arrays_without_splits_are_split_by_fractions(
    tmp_path: Path, shape: tuple[int, ...], packed: bool
) -> None:
    images = np.asfortranarray(pixels(6, *shape))
    labels = np.arange(6, dtype=np.int64) % 2
    source = build(save(tmp_path, {"images": images, "labels": labels}, packed=packed))
    assert (source.splits, source.notes) == ((), ())
    assert source.names == tuple(f"{index:08d}" for index in range(6))
    image = source.read(3)
    assert image.mode == ("RGB" if shape[2:] == (3,) else "L")
    np.testing.assert_array_equal(np.asarray(image).reshape(shape), images[3])


def test_fingerprint_is_of_the_content_and_the_names_of_classes(tmp_path: Path) -> None:
    arrays = medmnist()
    before = build(save(tmp_path, arrays)).fingerprint
    (tmp_path / "other").mkdir()
    assert build(save(tmp_path / "other", arrays, "b.npz")).fingerprint == before
    arrays["test_images"] = arrays["test_images"].copy()
    arrays["test_images"][3, 4, 3, 2] ^= 1
    assert build(save(tmp_path, arrays)).fingerprint != before
    named = build(tmp_path / "other" / "b.npz", classes=tuple("abcdefghijk"))
    assert named.fingerprint != before


def test_classes_can_be_named_by_their_labels(tmp_path: Path) -> None:
    path = save(tmp_path, medmnist())
    source = build(path, classes=tuple("abcdefghijk"))
    assert source.classes == ("a", "c", "k")
    assert source.labels == build(path).labels
    assert source.notes[-1] == f"{path} has no training images of b, d, e, f, g, h, i, j"
    with pytest.raises(
        InvalidData, match="labels up to 10, but names of classes up to 9"
    ) as caught:
        build(path, classes=tuple("abcdefghij"))
    assert caught.value.setting == "classes"
    with pytest.raises(ValidationError, match="a stands twice"):
        Arrays(dataset="arrays", path="a.npz", classes=("a", "b", "a"))


def test_pixels_are_read_once_and_only_when_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = build(save(tmp_path, medmnist()))
    opened: list[str] = []
    read_array = np.lib.format.read_array

    def counting(file: Any, **given: Any) -> Any:
        opened.append(file.name)
        return read_array(file, **given)

    monkeypatch.setattr(np.lib.format, "read_array", counting)
    for index in (12, 0, 3, 9):
        source.read(index)
    assert opened == ["test_images.npy", "train_images.npy"]


def test_file_that_has_changed_since_it_was_hashed_is_not_read(tmp_path: Path) -> None:
    source = build(save(tmp_path, medmnist()))
    save(tmp_path, medmnist())
    with pytest.raises(ChangedFile, match="has other content"):
        source.read(0)


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ({"train_images": None}, "has train_labels, but no train_images"),
        ({"val_labels": None}, "has val_images, but no val_labels"),
        ({"test_images": None}, "has test_labels, but no test_images"),
        (
            {"images": pixels(3, 4, 4), "labels": np.arange(3)},
            "has both images and train_images, val_images, test_images",
        ),
        ({"labels": np.arange(3)}, "has labels, but no images"),
        ({"train_images": pixels(5, 5, 4)}, "train_images has 5 images, but there are 6 labels"),
        ({"train_images": np.zeros((6, 5, 4))}, r"train_images is float64 of shape \(6, 5, 4\)"),
        ({"train_images": np.zeros((6, 5, 4), np.uint16)}, "train_images is uint16"),
        ({"train_images": pixels(6, 3, 5, 4)}, r"train_images is uint8 of shape \(6, 3, 5, 4\)"),
        ({"train_images": pixels(6, 20)}, r"train_images is uint8 of shape \(6, 20\)"),
        ({"train_images": pixels(6, 0, 4)}, "train_images is empty"),
        ({"train_labels": np.zeros((6, 14), int)}, r"train_labels is int64 of shape \(6, 14\)"),
        ({"train_labels": np.zeros(6)}, "train_labels is float64"),
        ({"train_labels": np.array([0, 1, -1, 0, 1, 2])}, "train_labels has -1 at 2"),
        ({"train_labels": OBJECTS}, "train_labels is object of shape"),
        ({"test_labels": np.full(4, 7)}, "no training image has:\n    7: test/00000000, test/0000"),
    ],
)
def test_arrays_that_are_not_as_they_should_be_are_refused(
    tmp_path: Path, others: dict[str, Any], found: str
) -> None:
    with pytest.raises(InvalidData, match=found):
        build(save(tmp_path, medmnist(**others)))


def test_file_without_training_images_names_its_arrays(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="no array train_images, but x_train, y_train"):
        build(save(tmp_path, {"x_train": pixels(3, 4, 4), "y_train": np.arange(3)}))


def test_file_that_is_no_archive_of_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.save(tmp_path / "a.npy", np.zeros(3))
    whole = save(tmp_path, medmnist(), "whole.npz").read_bytes()
    for content in (b"", b"no archive", (tmp_path / "a.npy").read_bytes(), whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(InvalidData, match=r"a.npz is no .npz file that can be read"):
            build(path)
    with pytest.raises(MissingData, match="no file or folder"):
        build(tmp_path / "nowhere.npz")


def test_array_of_fewer_values_than_its_head_says_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, {"images": pixels(2, 4, 4)})
    with zipfile.ZipFile(path, "a") as archive:
        content = io.BytesIO()
        np.save(content, np.arange(2))
        archive.writestr("labels.npy", content.getvalue()[:-3])
    with pytest.raises(InvalidData, match="labels is cut off"):
        build(path)


@pytest.mark.parametrize(("name", "at_once"), [("train_labels", True), ("train_images", False)])
def test_damaged_values_are_refused_without_reading_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at_once: bool
) -> None:
    path = save(tmp_path, medmnist(train_images=pixels(6, 90, 90)), packed=False)
    content = bytearray(path.read_bytes())
    content[content.index(f"{name}.npy".encode()) + 169] ^= 255
    path.write_bytes(content)
    if at_once:
        with pytest.raises(InvalidData, match=f"Bad CRC-32 for file '{name}.npy'"):
            build(path)
        return
    source = build(path)
    assert source.read(6).size == (4, 5)
    for index in (0, 5):
        with pytest.raises(InvalidData, match=r"Bad CRC-32 for file 'train_images.npy'"):
            source.read(index)
        monkeypatch.setattr("runner.components.data.arrays.read_arrays", None)

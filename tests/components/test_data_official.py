import os
import pickle
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from layouts import write_caltech101, write_cifar

from runner.artifacts.hashes import HashCache
from runner.components.data.caltech101 import Caltech101, course_split
from runner.components.data.cifar import Cifar10, Cifar100, read_batch
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import MissingData
from runner.components.data.invalid import UnknownClasses
from runner.components.data.splitting import split_images


def places_in(root: Path, cache: Path | None = None) -> DataAccess:
    return DataAccess((root,), HashCache((cache or root) / "hashes").hash_files)


def halved(source: ImageSource, validation: float) -> dict[str, list[int]]:
    return split_images(source.labels, source.classes, source.splits, validation, 0.0, 0)


def test_caltech101_leaves_the_background_out(tmp_path: Path) -> None:
    write_caltech101(tmp_path)
    source = Caltech101(dataset="caltech101").build(places_in(tmp_path))
    assert source.classes == ("Bass", "ant")
    assert len(source.names) == 18
    assert Counter(source.labels) == {0: 9, 1: 9}
    assert source.read(1).mode == "L"


def test_choice_of_caltech101_is_split_like_the_whole(tmp_path: Path) -> None:
    write_caltech101(tmp_path)
    settings = Caltech101(dataset="caltech101", include=("ant",), per_class=4)
    source = settings.build(places_in(tmp_path))
    assert source.names == tuple(f"ant/image_{number:04d}.jpg" for number in range(1, 5))
    assert source.splits == ("test", "train", "train", "test")
    with pytest.raises(UnknownClasses):
        Caltech101(dataset="caltech101", include=("BACKGROUND_Google",)).build(places_in(tmp_path))


def test_every_third_path_is_test_without_regard_to_case() -> None:
    names = ["Bass/1", "Bass/2", "Cat/1", "ant/1", "ant/2", "dog/1", "dog/2"]
    tests = [
        name for name, split in zip(names, course_split(names), strict=True) if split == "test"
    ]
    assert tests == ["Bass/2", "ant/1", "dog/2"]


def test_caltech101_validation_halves_what_is_not_test(tmp_path: Path) -> None:
    write_caltech101(tmp_path)
    source = Caltech101(dataset="caltech101").build(places_in(tmp_path))
    splits = halved(source, 0.5)
    assert {name: len(indices) for name, indices in splits.items()} == {
        "train": 6,
        "val": 6,
        "test": 6,
    }
    assert Counter(source.labels[index] for index in splits["val"]) == {0: 3, 1: 3}


@pytest.mark.parametrize(
    ("kind", "component", "counts"),
    [("cifar10", Cifar10, (100, 20, 10)), ("cifar100", Cifar100, (200, 200, 100))],
)
def test_cifar_is_read_in_its_official_layout(
    kind: str, component: type, counts: tuple[int, int, int], tmp_path: Path
) -> None:
    home = write_cifar(tmp_path, kind)
    source = component(dataset=kind).build(places_in(tmp_path))
    num_train, num_test, num_classes = counts
    assert Counter(source.splits) == {"train": num_train, "test": num_test}
    assert source.splits[-1] == "test"
    assert source.classes == tuple(f"class {label}" for label in range(num_classes))
    assert source.labels[:3] == (0, 1, 2)
    last = sorted(home.glob("data_batch_*"))[-1] if kind == "cifar10" else home / "train"
    planes = pickle.loads(last.read_bytes())["data"][-1].reshape(3, 32, 32)
    assert (np.asarray(source.read(num_train - 1)) == planes.transpose(1, 2, 0)).all()


def test_changing_one_pixel_of_cifar_changes_the_fingerprint(tmp_path: Path) -> None:
    home = write_cifar(tmp_path, "cifar10")
    before = Cifar10(dataset="cifar10").build(places_in(tmp_path)).fingerprint
    content = pickle.loads((home / "test_batch").read_bytes())
    content["data"][0, 0] ^= 1
    (home / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    assert Cifar10(dataset="cifar10").build(places_in(tmp_path)).fingerprint != before


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_a_file_are_those_that_numpy_would_read(
    protocol: int, order: Literal["C", "F"], tmp_path: Path
) -> None:
    array = np.arange(246, 6, -20, dtype=np.uint8).reshape(3, 4).copy(order)
    content = {"data": array, "labels": [3, 4], "names": ["é"]}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_batch(tmp_path / "batch")
    np.testing.assert_array_equal(found.pop("data"), array)
    assert found == {"labels": [3, 4], "names": ["é"]}


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Evil()),
        b"no pickle",
        pickle.dumps([1, 2]),
        b"",
        pickle.dumps({"data": np.array(["text", None], dtype=object)}, protocol=2),
        pickle.dumps({"data": np.zeros((2, 3))}, protocol=2),
        pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, protocol=2).replace(b"K\x03", b"K\x7f"),
        b"\x80\x02cnumpy\ndtype\n.",
        b"\x80\x02cnumpy\nndarray\n)R.",
    ],
    ids=["code", "text", "list", "empty", "objects", "floats", "shape", "dtype", "called"],
)
def test_file_that_is_no_cifar_file_is_refused_and_runs_nothing(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(OSError, match="is not a CIFAR file"):
        read_batch(tmp_path / "batch")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("key", ["data", "labels"])
def test_cifar_files_that_lack_something_are_refused(tmp_path: Path, key: str) -> None:
    home = write_cifar(tmp_path, "cifar10")
    content = pickle.loads((home / "test_batch").read_bytes())
    del content[key]
    (home / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(OSError, match=f"is not in the official layout: KeyError.'{key}'"):
        Cifar10(dataset="cifar10").build(places_in(tmp_path))


@pytest.mark.parametrize(
    ("component", "kind"),
    [(Caltech101, "caltech101"), (Cifar10, "cifar10"), (Cifar100, "cifar100")],
)
def test_missing_data_set_says_where_it_was_looked_for_and_how_to_get_it(
    component: type, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(MissingData) as missing:
        component(dataset=kind).build(places_in(tmp_path))
    assert str(missing.value.looked[0]).startswith(str(tmp_path))
    assert "https://" in missing.value.how_to_get


@pytest.mark.data
def test_real_caltech101_splits_as_the_course_did(tmp_path: Path) -> None:
    root = Path(os.environ["RUNNER_DATA"])
    source = Caltech101(dataset="caltech101").build(places_in(root, tmp_path))
    assert (len(source.names), len(source.classes)) == (8677, 101)
    for split in ("train", "test"):
        listed = (root / "caltech101" / f"{split}.txt").read_text().split()
        mine = [
            name for name, each in zip(source.names, source.splits, strict=True) if each == split
        ]
        assert sorted(mine) == sorted(listed)
    sizes = {name: len(indices) for name, indices in halved(source, 0.5).items()}
    assert sizes == {"train": 2892, "val": 2892, "test": 2893}


@pytest.mark.data
def test_real_cifar10_has_its_images_and_classes(tmp_path: Path) -> None:
    root = Path(os.environ["RUNNER_DATA"])
    data = Cifar10(dataset="cifar10")
    source = data.build(places_in(root, tmp_path))
    assert Counter(source.splits) == {"train": 50_000, "test": 10_000}
    assert set(Counter(source.labels).values()) == {6000}
    assert source.classes[source.labels[0]] == "frog"
    sizes = {name: len(indices) for name, indices in halved(source, data.validation).items()}
    assert sizes == {"train": 49_000, "val": 1000, "test": 10_000}

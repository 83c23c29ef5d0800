"""Public sets in their official files, against torchvision's readers of the same files."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import LAYOUTS, write_imagenette
from PIL import Image
from pydantic import TypeAdapter
from scipy.io import savemat
from torchvision import datasets

from runner.artifacts.hashes import HashCache
from runner.components.data import Data, dtd, eurosat, flowers102, food101, imagenette, stl10, svhn
from runner.components.data import oxford_iiit_pet as pets
from runner.components.data.archives import Archive
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import MissingData
from runner.components.data.mat_files import read_mat

pytestmark = pytest.mark.slow

Theirs = Callable[..., Any]
IN_FOLDER = {"svhn": "svhn"}
"""Sets whose files torchvision looks for in its root itself."""

PARTS: dict[str, tuple[Theirs, dict[str, str]]] = {
    "svhn": (datasets.SVHN, {"train": "train", "test": "test"}),
    "stl10": (datasets.STL10, {"train": "train", "test": "test"}),
    "flowers102": (datasets.Flowers102, {"train": "train", "val": "val", "test": "test"}),
    "oxford_iiit_pet": (datasets.OxfordIIITPet, {"train": "trainval", "test": "test"}),
    "food101": (datasets.Food101, {"train": "train", "test": "test"}),
    "dtd": (datasets.DTD, {"train": "train", "val": "val", "test": "test"}),
    "imagenette": (datasets.Imagenette, {"train": "train", "test": "val"}),
}


def built(root: Path, **settings: Any) -> ImageSource:
    data: Any = TypeAdapter(Data).validate_python(settings, strict=False)
    return data.build(DataAccess((root,), HashCache(root / "hashes").hash_files))


def ours(source: ImageSource, split: str) -> Iterator[tuple[list[Any], str]]:
    """Yield pixels and name of the class of each image of a split, in order."""
    for index, each in enumerate(source.splits):
        if each == split:
            pixels = np.asarray(source.read(index).convert("RGB")).tolist()
            yield pixels, source.classes[source.labels[index]]


def theirs_of(dataset: Any) -> Iterator[tuple[list[Any], str]]:
    classes = getattr(dataset, "classes", None) or [str(digit) for digit in range(10)]
    for image, label in dataset:
        name = classes[int(label)]
        yield np.asarray(image).tolist(), name if isinstance(name, str) else name[0]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision read files of another content than the published ones."""
    for theirs in (datasets.SVHN, datasets.STL10, datasets.Flowers102):
        monkeypatch.setattr(theirs, "_check_integrity", lambda self: True)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("name", PARTS)
def test_images_classes_and_splits_are_those_of_torchvision(tmp_path: Path, name: str) -> None:
    LAYOUTS[name](tmp_path)
    source = built(tmp_path, dataset=name)
    theirs, parts = PARTS[name]
    assert set(source.splits) == set(parts)
    for split, called in parts.items():
        expected = list(theirs_of(theirs(tmp_path / IN_FOLDER.get(name, ""), split=called)))
        assert list(ours(source, split)) == expected


def test_partitions_of_dtd_are_those_of_torchvision(tmp_path: Path) -> None:
    LAYOUTS["dtd"](tmp_path)
    source = built(tmp_path, dataset="dtd", partition=2)
    expected = list(theirs_of(datasets.DTD(tmp_path, split="val", partition=2)))
    assert list(ours(source, "val")) == expected
    assert source.fingerprint != built(tmp_path, dataset="dtd").fingerprint


def test_eurosat_is_read_as_torchvision_does_and_has_no_split_of_its_own(tmp_path: Path) -> None:
    LAYOUTS["eurosat"](tmp_path)
    source = built(tmp_path, dataset="eurosat")
    theirs = datasets.EuroSAT(tmp_path)
    assert source.splits == ()
    expected = sorted((np.asarray(image).tolist(), label) for image, label in theirs)
    images = [np.asarray(source.read(index)).tolist() for index in range(len(source.names))]
    assert sorted(zip(images, source.labels, strict=True)) == expected
    assert source.classes == tuple(theirs.classes)
    chosen = built(tmp_path, dataset="eurosat", include=["Forest"], per_class=4)
    assert chosen.names == tuple(f"Forest/Forest_{number}.jpg" for number in (1, 10, 2, 3))


@pytest.mark.parametrize("size", ["160px", "320px"])
def test_sizes_of_imagenette_lie_in_their_own_folders(tmp_path: Path, size: str) -> None:
    write_imagenette(tmp_path, f"imagenette2-{size.removesuffix('px')}")
    source = built(tmp_path, dataset="imagenette", size=size)
    assert len(source.names) == len(datasets.Imagenette(tmp_path, "train", size)) + 20
    with pytest.raises(MissingData, match=r"no folder imagenette2$"):
        built(tmp_path, dataset="imagenette")


FILES: dict[str, tuple[Archive, set[tuple[str, str]]]] = {
    "svhn": (
        svhn.ARCHIVE,
        {(url, md5) for part, (url, _, md5) in datasets.SVHN.split_list.items() if part != "extra"},
    ),
    "stl10": (stl10.ARCHIVE, {(datasets.STL10.url, datasets.STL10.tgz_md5)}),
    "flowers102": (
        flowers102.ARCHIVE,
        {
            (f"{datasets.Flowers102._download_url_prefix}{file}", md5)
            for file, md5 in datasets.Flowers102._file_dict.values()
        },
    ),
    "oxford_iiit_pet": (pets.ARCHIVE, set(datasets.OxfordIIITPet._RESOURCES)),
    "food101": (food101.ARCHIVE, {(datasets.Food101._URL, datasets.Food101._MD5)}),
    "dtd": (dtd.ARCHIVE, {(datasets.DTD._URL, datasets.DTD._MD5)}),
    **{
        f"imagenette {size}": (archive, {datasets.Imagenette._ARCHIVES[size]})
        for size, archive in imagenette.ARCHIVES.items()
    },
}


@pytest.mark.parametrize("name", FILES)
def test_addresses_and_checksums_are_those_of_torchvision(name: str) -> None:
    archive, expected = FILES[name]
    assert {(file.url, file.md5) for file in archive.files} == expected


def test_address_and_checksum_of_eurosat_are_those_of_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(url: str, download_root: str, md5: str) -> None:
        asked.append((url, md5))
        LAYOUTS["eurosat"](tmp_path)

    monkeypatch.setattr("torchvision.datasets.eurosat.download_and_extract_archive", fetch)
    datasets.EuroSAT(tmp_path, download=True)
    assert asked == [(file.url, file.md5) for file in eurosat.ARCHIVE.files]


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("name", [*PARTS, "eurosat"])
def test_a_missing_set_says_what_would_be_fetched(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingData) as missing:
        built(tmp_path, dataset=name)
    archive = missing.value.archive
    assert archive is not None
    assert missing.value.looked == (tmp_path / archive.folder,)
    assert missing.value.how_to_get.startswith("`runner run` downloads it (")
    assert all(file.name in missing.value.how_to_get for file in archive.files)


def write_mat(**arrays: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        savemat(path, arrays)

    return write


def text(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content.encode("latin1"))

    return write


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


X = np.zeros((32, 32, 3, 4), np.uint8)
IDS = {"trnid": [[1]], "valid": [[2]], "tstid": [[3]]}
FAULTS: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("svhn", "svhn/test_32x32.mat", text("no MATLAB"), "cannot be read as a MATLAB file"),
    ("svhn", "svhn/test_32x32.mat", Path.unlink, "No such file"),
    ("svhn", "svhn/test_32x32.mat", write_mat(X=X), "holds no array y"),
    ("svhn", "svhn/test_32x32.mat", write_mat(X=X, y=["a"]), "y, but not as numbers"),
    ("svhn", "svhn/test_32x32.mat", write_mat(X=X[:9], y=[[1]]), r"X is uint8 \(9, 32, 3, 4\)"),
    (
        "svhn",
        "svhn/test_32x32.mat",
        write_mat(X=X, y=[[1]]),
        "4 images of test_32x32.mat, but 1 labels",
    ),
    ("svhn", "svhn/test_32x32.mat", write_mat(X=X, y=[[0, 1, 2, 3]]), "not from 1 to 10"),
    ("stl10", "stl10_binary/train_X.bin", cut, "train_X.bin is cut off"),
    ("stl10", "stl10_binary/test_y.bin", cut, "40 images of test, but 33 labels"),
    ("stl10", "stl10_binary/class_names.txt", text("cat\ndog\n"), "the classes are 0 to 1"),
    ("flowers102", "flowers-102/setid.mat", write_mat(**{**IDS, "valid": [[99]]}), "image 99 of"),
    ("flowers102", "flowers-102/setid.mat", write_mat(**{**IDS, "valid": [[1]]}), "listed twice"),
    ("flowers102", "flowers-102/imagelabels.mat", write_mat(labels=[[0] * 18]), "of class -1"),
    ("flowers102", "flowers-102/jpg/image_00003.jpg", Path.unlink, "image_00003.jpg"),
    ("oxford_iiit_pet", "oxford-iiit-pet/annotations/test.txt", text("a_1 1 1\n"), "3 instead of"),
    ("oxford_iiit_pet", "oxford-iiit-pet/annotations/test.txt", text("a_1 1 1 1"), "is Abyssinian"),
    ("oxford_iiit_pet", "oxford-iiit-pet/annotations/test.txt", text("\xe9"), "is no text"),
    (
        "oxford_iiit_pet",
        "oxford-iiit-pet/annotations/test.txt",
        text("a_1 38 1 1"),
        "its lists name 37 classes, and name 38",
    ),
    ("food101", "food-101/meta/test.json", text("{"), "is no JSON"),
    ("food101", "food-101/meta/test.json", text("[]"), "no lists of names by class"),
    ("food101", "food-101/meta/test.json", text('{"soup": []}'), "two lists differ in classes"),
    (
        "food101",
        "food-101/meta/test.json",
        text(json.dumps({"apple_pie": ["../../secret"], "sushi": [], "waffles": []})),
        "would lie outside of the folder",
    ),
    ("dtd", "dtd/dtd/labels/val1.txt", text("dotted dotted_1.jpg\n"), "val1.txt:1 is not as"),
    ("imagenette", "imagenette2/val/n03888257", shutil.rmtree, "val holds images of n01440764"),
]


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(("name", "file", "harm", "what"), FAULTS)
def test_files_that_are_not_as_published_are_refused(
    tmp_path: Path, name: str, file: str, harm: Callable[[Path], None], what: str
) -> None:
    LAYOUTS[name](tmp_path)
    harm(tmp_path / file)
    with pytest.raises(OSError, match=what):
        built(tmp_path, dataset=name)


def test_lists_of_pets_that_lack_breeds_are_refused(tmp_path: Path) -> None:
    home = LAYOUTS["oxford_iiit_pet"](tmp_path)
    for part in ("trainval", "test"):
        path = Path(str(home)) / "annotations" / f"{part}.txt"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if line.split()[1] not in ("2", "37")))
    with pytest.raises(OSError, match="its lists lack the classes 2, 37"):
        built(tmp_path, dataset="oxford_iiit_pet")


def test_lists_that_are_empty_are_refused(tmp_path: Path) -> None:
    LAYOUTS["dtd"](tmp_path)
    for part in ("train", "val", "test"):
        (tmp_path / "dtd" / "dtd" / "labels" / f"{part}1.txt").write_text("\n")
    with pytest.raises(OSError, match="list no images"):
        built(tmp_path, dataset="dtd")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("flowers102", "flowers-102/imagelabels.mat"),
        ("oxford_iiit_pet", "oxford-iiit-pet/annotations/trainval.txt"),
        ("food101", "food-101/meta/train.json"),
    ],
)
def test_other_lists_are_another_data_set(tmp_path: Path, name: str, file: str) -> None:
    LAYOUTS[name](tmp_path)
    before = built(tmp_path, dataset=name).fingerprint
    change = partial(_swap_labels, tmp_path / file)
    change()
    assert built(tmp_path, dataset=name).fingerprint != before


def _swap_labels(path: Path) -> None:
    if path.suffix == ".mat":
        (labels,) = read_mat(path, ("labels",))
        savemat(path, {"labels": labels[:, ::-1]})
    else:
        content = path.read_text()
        first, second = ("Abyssinian_1 ", "Abyssinian_2 ")
        if path.suffix == ".json":
            first, second = ('"waffles/7"', '"waffles/14"')
        swapped = content.replace(first, "?").replace(second, first).replace("?", second)
        assert swapped != content
        path.write_text(swapped)


def test_a_listed_file_that_is_no_image_is_found_when_it_is_read(tmp_path: Path) -> None:
    home = LAYOUTS["dtd"](tmp_path)
    assert isinstance(home, Path)
    (home / "images" / "dotted" / "dotted_0003.jpg").write_bytes(b"no image")
    source = built(tmp_path, dataset="dtd")
    index = source.names.index("images/dotted/dotted_0003.jpg")
    with pytest.raises(OSError, match="cannot identify image"):
        source.read(index)
    assert isinstance(source.read(0 if index else 1), Image.Image)

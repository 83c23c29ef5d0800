"""`evaluate --data` takes what `data` of a spec takes: splits in folders, tables, arrays."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Call
from PIL import Image
from trained import CLASSES

from runner import api
from runner.api.evaluating import Evaluation

pytestmark = pytest.mark.slow


def same(one: Evaluation, other: Evaluation) -> bool:
    """Return whether the same was measured on the same number of images."""
    counts = (one.images, one.right) == (other.images, other.right)
    return counts and one.measures == pytest.approx(other.measures, rel=1e-5)


def write_table(name: str, head: str, splits: bool) -> Path:
    """Write a table of the photographs; with ``splits``, the first eight of a class are train."""
    rows = [head]
    for label in CLASSES:
        for number in range(12):
            split = f",{'train' if number < 8 else 'testing'}" if splits else ""
            rows.append(f"photos/{label}/{number}.png,{label}{split}")
    Path(name).write_text("\n".join(rows))
    return Path(name)


def test_one_of_several_splits_is_measured(photos_run: Path, call: Call) -> None:
    for label in CLASSES:
        for number in range(12):
            target = Path("parts", "train" if number < 8 else "test", label, f"{number}.png")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f"photos/{label}/{number}.png", target)
    table = write_table("photos.csv", "path,label,split", True)
    found = api.evaluate("photos:0", ("parts", "test"))
    assert found.images == dict.fromkeys(CLASSES, 4)
    assert same(found, api.evaluate("photos:0", "parts/test"))
    assert same(found, api.evaluate("photos:0", (table, "test")))
    text = call("evaluate", "photos:0", "--data", "photos.csv", "--split", "test").out
    assert "\ndata              photos.csv: 12 images of split test\n" in text
    words = ("evaluate", "photos:0", "--data", "parts", "--split", "test", "--format", "json")
    told = call(*words)
    shown = json.loads(told.out)
    assert (shown["data"], shown["split"], told.err) == ("parts", "test", "")


@pytest.mark.slow
def test_tables_and_arrays_are_measured_as_the_same_images_in_folders(photos_run: Path) -> None:
    found = api.evaluate("photos:0", "photos")
    assert same(found, api.evaluate("photos:0", write_table("t.csv", "path,label", False)))
    for place, label in enumerate(CLASSES):  # a run whose classes are called 0, 1, 2
        Path("photos", label).rename(Path("photos", str(place)))
    spec = Path("photos.yaml").read_text().replace("name: photos", "name: numbers", 1)
    Path("numbers.yaml").write_text(spec)
    api.run("numbers.yaml", device="cpu")
    files = [Path("photos", str(place), f"{each}.png") for place in range(3) for each in range(12)]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    labels = np.repeat(np.arange(3), 12)
    np.savez("all.npz", images=pixels, labels=labels)
    whole = api.evaluate("numbers:0", "photos")
    assert same(whole, api.evaluate("numbers:0", "all.npz"))
    np.savez("parts.npz", train_images=pixels[::2], train_labels=labels[::2],
             test_images=pixels[1::2], test_labels=labels[1::2])  # fmt: skip
    parts = [api.evaluate("numbers:0", ("parts.npz", split)) for split in ("train", "test")]
    right = [sum(each.right.values()) for each in (whole, *parts)]
    assert right[0] == right[1] + right[2]


def test_a_table_of_test_images_alone_is_measured(photos_run: Path) -> None:
    rows = [f"photos/{label}/{number}.png,{label},test" for label in CLASSES for number in (1, 2)]
    Path("test.csv").write_text("\n".join(["path,label,split", *rows]))
    assert api.evaluate("photos:0", ("test.csv", "test")).images == dict.fromkeys(CLASSES, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("photos.csv",), "photos.csv has splits: train (24 images), test (12 images)\n    hint:"),
        (("photos.csv", "--split", "val"), "has splits, and no val: train (24 images)"),
        (("photos.csv", "--split", "tset"), "no split 'tset'\n    did you mean: test"),
        (("photos", "--split", "test"), "photos has no splits\n    hint: leave out --split"),
        (("photos.yaml",), "photos.yaml is no data set\n    allowed: a folder, a table"),
        (
            ("named.csv",),
            "has no column label\n    allowed: path, kind\n    hint: call the columns",
        ),
        (("other.csv",), "only in the file: gnu\n    only in the run: cat, dog, emu"),
        (("small.npz",), "small.npz is no .npz file"),
    ],
)
@pytest.mark.fast_cases(1)
def test_what_cannot_be_measured_is_refused(
    photos_run: Path, call: Call, words: tuple[str, ...], said: str
) -> None:
    write_table("photos.csv", "path,label,split", True)
    write_table("named.csv", "path,kind", False)
    Path("other.csv").write_text("path,label\nphotos/cat/1.png,gnu")
    Path("small.npz").write_text("no arrays")
    called = call("evaluate", "photos:0", "--data", *words)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


@pytest.mark.slow
def test_images_of_arrays_of_another_size_are_named(photos_run: Path, call: Call) -> None:
    spec = Path("photos.yaml").read_text().replace("resize: 9", "resize: null")
    Path("numbers.yaml").write_text(spec.replace("name: photos", "name: numbers", 1))
    for place, label in enumerate(CLASSES):
        Path("photos", label).rename(Path("photos", str(place)))
    api.run("numbers.yaml", device="cpu")
    np.savez("all.npz", images=np.zeros((3, 4, 4, 3), np.uint8), labels=np.arange(3))
    called = call("evaluate", "numbers:0", "--data", "all.npz")
    assert called.code == 1
    assert "3 of 3 images cannot be read:\n    all.npz/00000000: " in called.err

"""`evaluate`: a recorded run measured on another folder, with its record left as it is."""

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands import Call
from trained import CLASSES

from runner import api
from runner.components.settings import Settings
from runner.engine.inference.classifying import TrainedClassifier


def validation_images() -> Path:
    """Copy the run's validation images to a folder of their own."""
    (index_file,) = Path(".runner/pixels").glob("*/index.json")
    index = json.loads(index_file.read_text())
    settings = Settings.model_validate_json(json.dumps(api.show("photos:0")["settings"]))
    for image in settings.data.split(index["labels"], index["classes"], index["splits"])["val"]:
        target = Path("others") / index["names"][image]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path("photos") / index["names"][image], target)
    return Path("others")


def records() -> list[str]:
    with closing(sqlite3.connect("results.db")) as raw:
        return list(raw.iterdump())


@pytest.mark.slow
def test_run_measures_on_its_validation_images_what_is_recorded(photos_run: Path) -> None:
    folder, before = validation_images(), records()
    found = api.evaluate("photos:0", folder, device="cpu")
    record = api.show("photos:0")
    best = record["epochs"][record["result"]["best_epoch"] - 1]
    assert found.measures["accuracy"] == best["val_accuracy"]
    assert found.measures["loss"] == pytest.approx(best["val_loss"], rel=1e-5)
    assert sum(found.images.values()) == len(list(folder.glob("*/*")))
    assert sum(found.right.values()) / sum(found.images.values()) == best["val_accuracy"]
    assert records() == before


@pytest.mark.slow
def test_labels_follow_the_names_of_classes(photos_run: Path, call: Call) -> None:
    whole = json.loads(call("evaluate", "photos:0", "--data", "photos", "--format", "json").out)
    shutil.rmtree("photos/cat")  # the others get other numbers in the folder
    called = call("evaluate", "photos:0", "--data", "photos")
    assert called.code == 2
    assert "only in the run: cat\n    hint: --allow-missing" in called.err
    words = ("evaluate", "photos:0", "--data", "photos", "--allow-missing")
    part = json.loads(call(*words, "--format", "json").out)
    assert part["images"] == {"cat": 0, "dog": 12, "emu": 12}
    assert part["right"] == {**whole["right"], "cat": 0}
    text = call(*words).out
    assert "\ncat         0      0         –\n" in text
    table = list(csv.DictReader(io.StringIO(call(*words, "--format", "csv").out)))
    assert [row["class"] for row in table if row["class"]] == ["dog", "emu"]
    assert float(table[1]["value"]) == sum(part["right"].values()) / 24


def test_classes_that_differ_are_named(photos_run: Path, call: Call) -> None:
    Path("photos/dog").rename("photos/dogs")
    called = call("evaluate", "photos:0", "--data", "photos", "--allow-missing", "--out", "x.csv")
    assert (called.code, called.out) == (2, "")
    assert called.err == (
        "error: the classes under photos are not those of the run\n"
        "    only in the folder: dogs\n"
        "    only in the run: dog\n"
        "    did you mean: dog for dogs\n"
    )
    assert not Path("x.csv").exists()


def test_image_that_cannot_be_read_is_no_part_of_a_plausible_number(
    photos_run: Path, call: Call
) -> None:
    Path("photos/dog/x.jpg").write_text("no image")
    called = call("evaluate", "photos:0", "--data", "photos")
    assert (called.code, called.out) == (1, "")
    assert "1 of 37 images cannot be read:\n    photos/dog/x.jpg: cannot identify" in called.err


def test_after_an_unreadable_image_the_others_are_read_but_not_measured(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.engine.inference.classifying.evaluation_batch_size", lambda *_: 5)
    for name in ("cat/1.png", "emu/9.png"):
        (Path("photos") / name).write_text("no image")
    passed: list[int] = []
    real = TrainedClassifier.logits
    monkeypatch.setattr(
        TrainedClassifier, "logits", lambda self, pixels: passed.append(1) or real(self, pixels)
    )
    called = call("evaluate", "photos:0", "--data", "photos")
    assert called.code == 1
    assert "2 of 36 images cannot be read:\n    photos/cat/1.png: cannot" in called.err
    assert "\n    photos/emu/9.png: cannot identify image file\n" in called.err
    assert not passed


def test_own_data_of_the_run_is_found_where_it_is_said_to_lie(photos_run: Path, call: Call) -> None:
    shutil.copytree("photos", "others")
    Path("elsewhere").mkdir()
    shutil.move("photos", "elsewhere")
    shutil.rmtree(".runner/pixels")
    words = ("evaluate", "photos:0", "--data", "others")
    assert "the data set imagefolder of the run is not here" in call(*words).err
    assert call(*words, "--run-data", "elsewhere").code == 0


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("folder", "said"),
    [("nowhere", "no folder or file nowhere"), ("photos/cat", "no images in class folders")],
)
def test_folder_without_classes_is_refused(
    photos_run: Path, call: Call, folder: str, said: str
) -> None:
    called = call("evaluate", "photos:0", "--data", folder)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


@pytest.mark.slow
def test_parts_of_a_split_are_no_classes(photos_run: Path, call: Call) -> None:
    for part in ("train", "test"):
        shutil.copytree("photos", f"split/{part}")
    called = call("evaluate", "photos:0", "--data", "split")
    assert called.code == 2
    assert "split has splits: train (36 images), test (36 images)\n" in called.err
    assert call("evaluate", "photos:0", "--data", "split/test").code == 0
    frame = api.evaluate("photos:0", "split/test").frame()
    assert list(frame["class"].dropna()) == list(CLASSES)

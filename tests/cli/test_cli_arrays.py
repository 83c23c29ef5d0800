"""An .npz file as a data set, on the command line: problems with their positions, a whole run."""

from pathlib import Path

import numpy as np
import pytest
from commands import Call
from layouts import write_arrays

from runner import api

SPEC = """\
name: photos
data: {dataset: arrays, path: photos.npz, color: gray}
model: {name: mlp, hidden: [4]}
train: {epochs: 2}
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path) -> Path:
    Path("photos.yaml").write_text(SPEC)
    return write_arrays(tmp_path)


def problem(call: Call) -> str:
    refused = call("validate", "photos.yaml", "--deep")
    assert (refused.code, refused.out) == (2, "")
    return refused.err


def test_wrong_arrays_are_told_at_the_path(file: Path, call: Call) -> None:
    np.savez(file, train_images=np.zeros((4, 3, 8, 8), np.float32), train_labels=np.arange(4))
    assert problem(call) == (
        f"error: photos.yaml:2:31: {file}: train_images is float32 of shape (4, 3, 8, 8)\n"
        "    hint: images are uint8 of shape (N, height, width), or (N, height, width, 1 or 3)\n"
    )


def test_too_few_names_of_classes_are_told_at_their_place(file: Path, call: Call) -> None:
    Path("photos.yaml").write_text(SPEC.replace("gray", "gray, classes: [cat]"))
    assert problem(call) == (
        f"error: photos.yaml:2:65: {file} has labels up to 1, but names of classes up to 0\n"
        "    hint: name the classes of all labels, from 0 on\n"
    )


def test_fraction_of_an_official_split_of_arrays_is_refused(call: Call) -> None:
    Path("photos.yaml").write_text(SPEC.replace("gray", "gray, validation: 0.5"))
    assert "2:68: data.validation is 0.5, but the data set has 8 validation" in problem(call)


@pytest.mark.slow
def test_run_on_arrays_is_measured_on_their_splits(call: Call) -> None:
    Path("photos.yaml").write_text(SPEC.replace("gray", "gray, classes: [cat, dog]"))
    assert call("run", "photos.yaml").code == 0
    for split, count in (("val", 8), ("test", 10)):
        frame = api.predictions("photos:0", split).frame()
        assert list(frame["image"]) == [f"{split}/{index:08d}" for index in range(count)]
        assert list(frame["label"]) == ["cat", "dog"] * (count // 2)


def test_new_writes_a_spec_for_a_file_of_arrays(file: Path, call: Call) -> None:
    assert call("new", "photos.npz", "--out", "new.yaml").code == 0
    lines = Path("new.yaml").read_text().splitlines()
    assert lines[:2] == ["name: photos", "data: {dataset: arrays, path: photos.npz, color: gray}"]
    assert call("validate", "--deep", "new.yaml").code == 0
    np.savez(file, images=np.zeros((20, 99, 80, 3), np.uint8), labels=np.arange(20) % 2)
    settings = "path: photos.npz, validation: 0.2, test: 0.2, resize: 64, crop: 64}"
    printed = call("new", "photos.npz", "--out", "-").out
    assert printed.splitlines()[1] == f"data: {{dataset: arrays, {settings}"

"""`runner inspect sizes`: the networks of a spec, without its data."""

import csv
import io
import json
from pathlib import Path

import pytest
from commands import Call

from runner import api

SPEC = """\
name: nets
data: {dataset: imagefolder, path: nowhere, resize: [9, 12], include: [a, b, c]}
train: {epochs: 1, batch_size: 4, optimizer: sgd}
seeds: [0, 1]
sweep:
  rows:
    - {label: plain, model: {name: mlp, hidden: [4]}}
    - {label: deep, model: {name: convnet, filters: [4, 8], kernel: [3, 5]}}
    - {label: deep again, model: {name: convnet, filters: [4, 8], kernel: [3, 5]}, lr: 0.5}
"""
DEEP = """\
network    convnet
cells      deep; deep again
image      3×9×12, classes 3
weights    1,067 parameters, 1,067 trained
work       31,008 multiply-adds an image

layer                       kind       output  parameters  trainable  multiply-adds  field  stride
features.block1.conv        Conv2d     4×9×12         112        112         11,664      3       1
features.block1.activation  ReLU       4×9×12           0          0              0      3       1
features.block1.pool        MaxPool2d  4×4×6            0          0              0      4       2
features.block2.conv        Conv2d     8×4×6          808        808         19,200     12       2
features.block2.activation  ReLU       8×4×6            0          0              0     12       2
features.block2.pool        MaxPool2d  8×2×3            0          0              0     14       4
flatten                     Flatten    48               0          0              0     14       4
classifier.output           Linear     3              147        147            144   9×12       –
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "nets.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.mark.slow
def test_sizes_shows_each_network_once(spec: Path, call: Call) -> None:
    shown = call("inspect", "sizes", spec)
    assert shown.code == 0
    first, second = shown.out.split("\n\nnetwork")
    assert "cells      plain\n" in first
    assert "network" + second == DEEP
    assert not (spec.parent / ".runner").exists()


@pytest.mark.slow
def test_sizes_as_csv_and_json_are_the_frame(spec: Path, call: Call) -> None:
    frame = api.inspect_sizes(spec, only="deep").frame()
    rows = list(csv.DictReader(io.StringIO(call("inspect", "sizes", spec, "--format", "csv").out)))
    assert [row["cells"] for row in rows] == ["plain"] * 4 + ["deep; deep again"] * 8
    assert [row["layer"] for row in rows[4:]] == list(frame["layer"])
    assert [int(row["field_width"]) for row in rows[4:]] == list(frame["field_width"])
    assert [row["field_width"] for row in rows[:4]] == [
        "" if each is None else str(each)
        for each in api.inspect_sizes(spec, only="plain").frame()["field_width"]
    ]
    shown = json.loads(call("inspect", "sizes", spec, "--format", "json").out)
    assert [each["network"] for each in shown] == ["mlp", "convnet"]
    assert shown[1]["parameters"] == sum(row["parameters"] for row in shown[1]["layers"]) == 1067


def test_label_is_no_formula_of_a_spreadsheet(spec: Path, call: Call) -> None:
    spec.write_text(SPEC.replace("label: plain", "label: '=1+1'"))
    rows = csv.DictReader(io.StringIO(call("inspect", "sizes", spec, "--format", "csv").out))
    assert next(rows)["cells"] == "'=1+1"


def test_sizes_of_another_image_and_number_of_classes(spec: Path, call: Call) -> None:
    words = ("--only", "plain", "--image", "1x5x5", "--classes", "9")
    assert "75 parameters" not in call("inspect", "sizes", spec).out
    shown = call("inspect", "sizes", spec, *words)
    assert "image      1×5×5, classes 9\n" in shown.out
    assert f"weights    {25 * 4 + 4 + 4 * 9 + 9} parameters" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "data.resize=9"), "how large the images are is not known"),
        (("--set", "data.include=null"), "how many classes there are is not known"),
        (("--set", "model.classes=2"), "model.classes is 2, but the data has 3 labels"),
        (("--image", "3x9"), "--image is '3x9'"),
        (("--image", "3x0x9"), "--image is '3x0x9'"),
        (("--classes", "0"), "--classes is 0"),
        (("--format", "cvs"), "did you mean: csv"),
        (("--only", "label=dep"), "did you mean: label=deep"),
        (("--image", "3x1x1", "--only", "deep"), "nets.yaml:8:28: the model does not fit the data"),
    ],
    ids=str,
)
def test_sizes_of_what_cannot_be_is_a_clear_error(
    spec: Path, call: Call, words: tuple[str, ...], said: str
) -> None:
    shown = call("inspect", "sizes", spec, *words)
    assert shown.code == 2
    assert said in shown.err
    assert not shown.out

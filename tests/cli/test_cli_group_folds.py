"""Folds of the groups of a table, from the file to what each run saw."""

from pathlib import Path

import numpy as np
import pytest
from commands import Call
from PIL import Image

from runner import api

SPEC = """\
name: scans
data: {dataset: table, path: scans.csv, columns: {group: patient}, SPLITS}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, batch_size: 16}
folds: FOLDS
"""


def write(folder: Path, splits: str, folds: str) -> Path:
    """Write 48 scans of eight patients, and a spec."""
    draw = np.random.default_rng(0)
    rows = ["path,label,patient"]
    for number in range(48):
        pixels = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        rows.append(f"{number:02d}.png,{'ab'[number % 2]},P{number // 2 % 8}")
    (folder / "scans.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    spec = folder / "scans.yaml"
    spec.write_text(SPEC.replace("SPLITS", splits).replace("FOLDS", folds), encoding="utf-8")
    return spec


def patients(cell: str, split: str) -> set[str]:
    names = api.predictions(cell, split).frame()["image"]
    return {f"P{int(Path(name).stem) // 2 % 8}" for name in names}


@pytest.mark.slow
def test_each_patient_is_validated_in_one_fold(tmp_path: Path, call: Call) -> None:
    ran = call("run", write(tmp_path, "test: 0", "3"), "--device", "cpu")
    assert ran.code == 0, ran.err
    held = [patients(f"scans:0:0:{fold}", "val") for fold in (1, 2, 3)]
    assert sum(map(len, held)) == 8
    assert set.union(*held) == {f"P{number}" for number in range(8)}


@pytest.mark.slow
def test_each_patient_is_tested_in_one_fold(tmp_path: Path, call: Call) -> None:
    spec = write(tmp_path, "validation: 0", "{of: 4, held_out: test}")
    ran = call("run", spec, "--device", "cpu")
    assert ran.code == 0, ran.err
    held = [patients(f"scans:0:0:{fold}", "test") for fold in (1, 2, 3, 4)]
    assert sum(map(len, held)) == 8


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("splits", "folds", "found"),
    [
        ("split_seed: 1", "3", "data.test is 0.2, but images of a group (data.columns.group:"),
        ("test: 0.3", "3", "scans.yaml:2:74: data.test is 0.3, but images of a group"),
        ("test: 0, validation: 0.2", "{of: 3, held_out: test}", "scans.yaml:2:74: data.test is 0"),
        ("split_seed: 1", "{of: 3, held_out: test}", "data.validation is 0.2, but images of a"),
        ("test: 0", "null", "data.columns.group is patient, but no fold is held out"),
        ("test: 0", "9", "the images left are of 8 groups, fewer than 9 folds"),
    ],
)
def test_what_would_take_a_group_apart_is_refused(
    tmp_path: Path, call: Call, splits: str, folds: str, found: str
) -> None:
    refused = call("validate", write(tmp_path, splits, folds), "--deep")
    assert refused.code == 2
    assert found in refused.err


def test_equal_images_in_several_splits_are_named_for_one_fold(tmp_path: Path, call: Call) -> None:
    spec = write(tmp_path, "test: 0", "4")
    text = spec.read_text(encoding="utf-8").replace(", columns: {group: patient}", "")
    spec.write_text(text, encoding="utf-8")
    assert "byte for byte" not in call("validate", spec, "--deep").err
    for number in range(2, 48, 2):  # all images of a class are one
        (tmp_path / f"{number:02d}.png").write_bytes((tmp_path / "00.png").read_bytes())
    checked = call("validate", spec, "--deep")
    assert checked.code == 0
    assert checked.err.count("in several splits, byte for byte") == 1

"""`runner inspect predictions`: sheets, and the confusion matrix as picture and CSV."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Call
from PIL import Image

from runner import api

FORMULA = "=HYPERLINK(1)"
SPEC = """\
name: seen
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25}
model: {name: mlp, hidden: [6]}
train: {epochs: 2, batch_size: 8, optimizer: {name: sgd, lr: 0.01}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen")
    draw = np.random.default_rng(0)
    for label, name in enumerate((FORMULA, "cat", "dog")):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = draw.integers(0, 140, (6, 5, 3), dtype=np.uint8)
            pixels[:, :, label] += 60
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    (folder / "seen.yaml").write_text(SPEC, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.run("seen.yaml", device="cpu")
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.slow
def test_sheets_and_matrix_are_drawn_and_the_matrix_is_written_safely(
    home: Path, call: Call
) -> None:
    shutil.rmtree(home / ".runner" / "weights")
    drawn = call("inspect", "predictions", "seen:0", "--out", "p.png", "--csv", "c.csv")
    assert (drawn.code, drawn.err) == (0, "")
    assert drawn.out.splitlines() == ["p-confusion.png", "p-right.png", "p-wrong.png", "c.csv"]
    for name in drawn.out.splitlines()[:3]:
        assert (home / name).read_bytes().startswith(b"\x89PNG")
    with (home / "c.csv").open(encoding="utf-8", newline="") as file:
        first, *rows = csv.reader(file)
    assert first == ["class", f"'{FORMULA}", "cat", "dog"]
    assert [row[0] for row in rows] == first[1:]
    matrix = api.predictions("seen:0").confusion()
    assert [list(map(int, row[1:])) for row in rows] == matrix.to_numpy().tolist()
    assert matrix.to_numpy().sum() == 9


@pytest.mark.slow
def test_inspected_predictions_are_arrays_frames_and_figures(home: Path) -> None:
    found = api.inspect_predictions("seen:0", "val", 3, out="p.svg")
    every = api.predictions("seen:0", "val").frame()
    frame = found.frame()
    for sheet, is_right in (("right", True), ("wrong", False)):
        shown = frame[frame["sheet"] == sheet]
        matching = every[(every["label"] == every["predicted"]) == is_right]
        expected = matching.sort_values("probability", ascending=False, kind="stable")[:3]
        assert shown["image"].tolist() == expected["image"].tolist()
        assert 0 < len(shown) <= 3
        for name, pixels in zip(shown["image"], found.sheets[sheet]["images"], strict=True):
            assert (np.array(Image.open(home / "photos" / name)) == pixels).all()
    assert {*found.figures} == {*found.sheets, "confusion"}
    assert found.figures["confusion"].axes
    text = (home / "p-wrong.svg").read_text(encoding="utf-8")
    assert f"label: {frame[frame['sheet'] == 'wrong']['label'].iloc[0]}" in text
    assert (
        (found.confusion().to_numpy() == api.predictions("seen:0", "val").confusion()).all().all()
    )


@pytest.mark.slow
def test_chosen_images_have_a_sheet_of_their_own(home: Path, call: Call) -> None:
    names = api.predictions("seen:0").kept.names
    options = [part for name in (names[4], names[0], names[4]) for part in ("--image", name)]
    drawn = call("inspect", "predictions", "seen:0", "--most", "0", *options, "--out", "p.png")
    assert drawn.out.splitlines() == ["p-confusion.png", "p-chosen.png"]
    found = api.inspect_predictions("seen:0", most=0, images=[names[4], names[0]])
    assert found.frame()["image"].tolist() == [names[4], names[0]]
    assert [path.parent.name for path in found.paths] == ["figures", "figures"]


@pytest.mark.slow
def test_pixels_that_are_gone_come_from_the_data_or_only_the_matrix_is_drawn(
    home: Path, call: Call
) -> None:
    before = api.inspect_predictions("seen:0").sheets
    shutil.rmtree(home / ".runner" / "pixels")
    again = api.inspect_predictions("seen:0").sheets
    assert {*again} == {"right", "wrong"}
    assert all((again[name]["images"] == before[name]["images"]).all() for name in before)
    shutil.rmtree(home / "photos")
    drawn = call("inspect", "predictions", "seen:0", "--out", "q.png", "--csv", "c.csv")
    assert (drawn.code, drawn.out) == (0, "q-confusion.png\nc.csv\n")
    assert drawn.err.startswith("note: sheets are left out, without their pictures: the data set")


@pytest.mark.slow
def test_what_is_not_there_is_told_before_anything_is_written(home: Path, call: Call) -> None:
    name = api.predictions("seen:0").kept.names[0]
    near = call("inspect", "predictions", "seen:0", "--image", f"{name}x")
    assert near.code == 2
    assert f"no test image of run 'seen:0' is called '{name}x'" in near.err
    assert f"did you mean: {name}" in near.err
    for wrong, said in (
        (("--split", "vall"), "did you mean: val"),
        (("--most", "-1"), "allowed: 0 to 200"),
        (("--weights", "last"), "no test predictions were kept"),
        (("--csv", "nowhere/c.csv"), "no folder nowhere"),
        (("--out", "p.gif"), ".png, .svg, .pdf"),
    ):
        told = call("inspect", "predictions", "seen:0", *wrong)
        assert (told.code, told.out) == (2, "")
        assert said in told.err
    assert not (home / "figures").exists()

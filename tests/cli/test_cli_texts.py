"""Names of files that are not UTF-8, or hold line breaks: nothing breaks, and all can be read."""

import io
import sys
from pathlib import Path

import pytest
from commands import Call
from pictures import draw_classes

from runner.cli.app import main

ODD = "caf\udce9"
"""What Python makes of the bytes of café in Latin-1."""

SPEC = """\
name: photos
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, augment: RandomHorizontalFlip}
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The current folder with photos.yaml; the first image of the odd class is broken."""
    try:
        draw_classes(tmp_path / "photos", {ODD: 8, "two\nlines": 8, "a|b $x$ <i>": 8})
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    (tmp_path / "photos.yaml").write_text(SPEC)
    (tmp_path / "photos" / ODD / "image 0.png").write_bytes(b"broken")
    return tmp_path


@pytest.mark.slow
def test_broken_image_is_named_by_run_and_by_show(photos: Path, call: Call) -> None:
    ran = call("run", "photos.yaml")
    assert ran.code == 1
    named = rf"{photos}/photos/caf\xe9/image 0.png: cannot identify image file"
    assert named in ran.err
    assert named in call("show", "photos:0").out
    assert call("report", "--table", "photos", "--format", "json").code == 0


@pytest.mark.slow
def test_run_leaves_it_out_and_names_it(photos: Path, call: Call) -> None:
    (photos / "photos.yaml").write_text(SPEC.replace("test: 0.25", "test: 0.25, on_corrupt: skip"))
    ran = call("run", "photos.yaml")
    assert ran.code == 0
    assert r"1 corrupt images left out: caf\xe9/image 0.png" in ran.err


@pytest.mark.slow
def test_figure_names_the_classes(photos: Path, call: Call) -> None:
    (photos / "photos.yaml").write_text(SPEC.replace("test: 0.25", "test: 0.25, on_corrupt: skip"))
    assert call("plot", "photos.yaml", "augmentations").code == 0


@pytest.mark.slow
def test_class_is_included_by_the_name_that_is_shown(photos: Path, call: Call) -> None:
    chosen = SPEC.replace("test: 0.25", r"test: 0.25, include: ['two\nlines', 'a|b $x$ <i>', cafe]")
    (photos / "photos.yaml").write_text(chosen)
    refused = call("run", "photos.yaml")
    assert refused.code == 2
    assert (
        "did you mean: caf\\xe9\n    allowed: a|b $x$ <i>, caf\\xe9, two\\nlines\n" in refused.err
    )
    (photos / "photos.yaml").write_text(chosen.replace(", cafe", ""))
    assert call("run", "photos.yaml").code == 0


def test_spec_whose_path_cannot_be_recorded_is_refused(photos: Path, call: Call) -> None:
    (photos / "photos.yaml").rename(photos / f"{ODD}.yaml")
    for words in (["validate"], ["run"]):
        refused = call(*words, f"{ODD}.yaml")
        assert (refused.code, refused.out) == (2, "")
        assert r"the path caf\xe9.yaml is not UTF-8, and could not be recorded" in refused.err
    assert not (photos / "results.db").exists()


def test_new_refuses_a_folder_that_no_spec_can_name(photos: Path, call: Call) -> None:
    (photos / "photos").rename(photos / ODD)
    refused = call("new", ODD)
    assert (refused.code, refused.out) == (2, "")
    assert r"caf\xe9 is not UTF-8" in refused.err
    assert list(photos.glob("*.yaml")) == [photos / "photos.yaml"]


@pytest.mark.slow
def test_project_may_lie_in_any_folder(
    photos: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / f"in {ODD}").mkdir()
    (photos / "photos").rename(photos / f"in {ODD}" / "photos")
    (photos / "photos.yaml").rename(photos / f"in {ODD}" / "photos.yaml")
    monkeypatch.chdir(f"in {ODD}")
    assert call("run", "photos.yaml").code == 1
    assert r"in caf\xe9/photos/caf\xe9/image 0.png" in call("show", "photos:0").out


@pytest.mark.parametrize("option", ['about="\\ud83d"', f"data.path={ODD}"])
def test_option_with_half_a_character_is_refused(photos: Path, call: Call, option: str) -> None:
    refused = call("validate", "photos.yaml", "--set", option.replace("about", "data.path"))
    assert (refused.code, refused.out) == (2, "")
    assert "character" in refused.err


@pytest.mark.slow
def test_characters_that_stdout_cannot_encode_are_escaped(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "iso8859-5"))
    monkeypatch.setattr(sys, "argv", ["runner", "report", "--table", "tiny"])
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    sys.stdout.flush()
    assert rb"mean \xb1 sample standard deviation" in printed.getvalue()

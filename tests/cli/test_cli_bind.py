"""What only data or a built model can tell, found before anything starts."""

import json
import os
from pathlib import Path

import pytest
from commands import TINY, Call
from pictures import draw_classes
from PIL import Image

from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.imagefolder import ImageFolder

GOLDEN = Path(__file__).parent / "golden"
SPEC = """\
name: photos
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25}
model: {name: convnet, filters: [4]}
train: {epochs: 1}
"""
MISSING = """\
error: photos.yaml:2:36: missing data set imagefolder: no folder photos
    looked for: HERE/data/photos, HERE/photos
    hint: give the folder that holds one folder of images per class, absolute or relative to \
--data (RUNNER_DATA), ./data, the current folder or the spec's folder
"""


@pytest.fixture(autouse=True)
def _spec() -> None:
    Path("photos.yaml").write_text(SPEC)


@pytest.mark.parametrize("words", [["run"], ["validate", "--deep"]])
def test_missing_data_is_an_error_that_says_where_it_was_looked_for(
    tmp_path: Path, call: Call, words: list[str]
) -> None:
    refused = call(*words, "photos.yaml", "--data", "data")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == MISSING.replace("HERE", str(tmp_path))
    assert not (tmp_path / "results.db").exists()


def test_validate_without_deep_needs_no_data(call: Call) -> None:
    assert call("validate", "photos.yaml").code == 0


def test_plan_without_data_says_that_keys_are_provisional(call: Call) -> None:
    planned = call("plan", "photos.yaml")
    assert planned.code == 0
    assert "runs      1: 0 done, 1 to do" in planned.out
    assert "keys provisional, since data is not there:\nphotos.yaml:2:36: missing" in planned.out


@pytest.mark.parametrize("option", [True, False])
def test_data_is_found_by_option_or_variable(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, option: bool
) -> None:
    draw_classes(tmp_path / "elsewhere" / "photos", {"a": 6, "b": 6})
    if not option:
        monkeypatch.setenv("RUNNER_DATA", str(tmp_path / "elsewhere"))
    words = ["--data", "elsewhere"] if option else []
    assert call("validate", "photos.yaml", "--deep", *words).code == 0


def problem(call: Call, *sets: str) -> str:
    words = [word for each in sets for word in ("--set", each)]
    refused = call("validate", "photos.yaml", "--deep", *words)
    assert (refused.code, refused.out) == (2, "")
    return refused.err


def is_golden(name: str, text: str, home: Path) -> bool:
    """Return whether a message is that of ``golden/NAME.txt``, paths of the test left out."""
    golden = GOLDEN / f"{name}.txt"
    text = text.replace(str(home), "HERE")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    return text == golden.read_text(encoding="utf-8")


def test_outputs_fewer_than_labels_are_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"a": 6, "b": 6, "c": 6})
    Path("photos.yaml").write_text(SPEC.replace("filters: [4]", "filters: [4], classes: 2"))
    assert is_golden("fewer_classes_than_labels", problem(call), tmp_path)


def test_class_too_small_to_stratify_is_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"a": 9, "b": 1})
    assert is_golden("class_too_small_to_stratify", problem(call), tmp_path)


def test_unknown_class_is_refused_at_its_position(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 6, "dog": 6})
    Path("photos.yaml").write_text(SPEC.replace("test: 0.25", "test: 0.25, include: [cat, dogg]"))
    assert is_golden("unknown_class", problem(call), tmp_path)


def test_training_images_fewer_than_classes_are_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    Path("photos.yaml").write_text(SPEC.replace("test: 0.25", "test: 0.25, train_images: 1"))
    assert is_golden("fewer_training_images_than_classes", problem(call), tmp_path)


@pytest.mark.slow
def test_training_images_more_than_there_are_are_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    swept = "sweep: {grid: {train_images: [4, 9, 10, null]}}\n"
    Path("photos.yaml").write_text(SPEC + swept)
    refused = problem(call)
    assert is_golden("more_training_images_than_there_are", refused, tmp_path)
    for verb in ("plan", "run"):
        assert call(verb, "photos.yaml").err == refused
    Path("photos.yaml").write_text(SPEC + swept.replace("10, ", ""))
    assert call("validate", "--deep", "photos.yaml").code == 0


def test_folders_of_a_split_beside_classes_are_refused(tmp_path: Path, call: Call) -> None:
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        draw_classes(tmp_path / "photos" / part, {"cat": count, "dog": count})
    draw_classes(tmp_path / "photos", {"cow": 4})
    refused = problem(call)
    assert is_golden("folders_of_a_split", refused, tmp_path)
    new = call("new", "photos")
    assert (new.code, new.out, Path("new.yaml").exists()) == (2, "", False)
    assert new.err.splitlines()[1:] == refused.splitlines()[1:]
    assert call("new", "photos/train", "--out", "new.yaml").code == 0
    assert (
        problem(call, "data.include=[train, val, valid]").count("no class is called 'valid'") == 1
    )
    insisted = call("validate", "--deep", "photos.yaml", "--set", "data.include=[train, val, test]")
    assert insisted.code == 0


def draw_splits(folder: Path, **counts: int) -> Path:
    """Write split folders of two classes, with so many images of each; no two images are alike."""
    for part, count in counts.items():
        draw_classes(folder / "photos" / part, {"cat": count, "dog": count})
    for path in (folder / "photos").rglob("*.png"):
        path.write_bytes(path.read_bytes() + str(path).encode())
    return folder / "photos"


@pytest.mark.slow
def test_splits_of_a_folder_are_used_and_fractions_of_them_refused(
    tmp_path: Path, call: Call
) -> None:
    photos = draw_splits(tmp_path, train=12, val=5, test=3)
    refused = problem(call)
    assert refused == (
        "error: photos.yaml:2:56: data.validation is 0.25, but the data set has 10 validation"
        " images of its own\n    hint: leave it out\n"
        "photos.yaml:2:68: data.test is 0.25, but the data set has 6 test images of its own\n"
        "    hint: leave it out\n"
    )
    assert call("new", "photos", "--out", "new.yaml").code == 0
    written = Path("new.yaml").read_text()
    assert "validation" not in written
    assert "test" not in written
    planned = call("plan", "new.yaml")
    assert planned.code == 0
    note = (
        f"splits of {photos}: train (24 training images), val (10 validation images),"
        " test (6 test images); 2 classes: cat, dog"
    )
    assert f"note      {note}\n" in planned.out
    Path("photos.yaml").write_text(SPEC.replace(", validation: 0.25, test: 0.25", ""))
    assert call("validate", "--deep", "photos.yaml").err == f"note: {note}\n"


@pytest.mark.slow
def test_equal_images_in_several_splits_or_classes_are_named(tmp_path: Path, call: Call) -> None:
    photos = draw_splits(tmp_path, train=12, val=5, test=3)
    Path("photos.yaml").write_text(SPEC.replace(", validation: 0.25, test: 0.25", ""))
    assert "byte for byte" not in call("validate", "--deep", "photos.yaml").err
    for name, other in (
        ("train/cat/image 3", "val/cat/image 1"),
        ("train/dog/image 0", "test/cat/image 2"),
    ):
        (photos / f"{other}.png").write_bytes((photos / f"{name}.png").read_bytes())
    notes = [
        f"{photos}: 1 image has several labels, byte for byte: train/dog/image 0.png and"
        " test/cat/image 2.png",
        f"{photos}: 2 images are in several splits, byte for byte: train/cat/image 3.png (train)"
        " and val/cat/image 1.png (val); train/dog/image 0.png (train) and test/cat/image 2.png"
        " (test)",
    ]
    checked = call("validate", "--deep", "photos.yaml")
    assert checked.code == 0
    assert checked.err.splitlines()[1:] == [f"note: {note}" for note in notes]
    planned = call("plan", "photos.yaml", "--set", "data.train_images=9").out
    assert [planned.count(f"note      {note}\n") for note in notes] == [1, 1]
    insisted = call("validate", "--deep", "photos.yaml", "--set", "data.include=[train, val, test]")
    assert "2 images have several labels" in insisted.err


def test_split_that_is_not_there_is_drawn_from_train(tmp_path: Path, call: Call) -> None:
    draw_splits(tmp_path, train=12, val=5)
    assert call("new", "photos", "--out", "new.yaml").code == 0
    assert "data: {dataset: imagefolder, path: photos, test: 0.2}" in Path("new.yaml").read_text()
    assert call("validate", "--deep", "new.yaml").err.endswith(
        "; test images are drawn from train\n"
    )
    apart = "{train: photos/train, val: photos/val}"
    Path("photos.yaml").write_text(SPEC.replace("path: photos, validation: 0.25", f"path: {apart}"))
    assert call("validate", "--deep", "photos.yaml").code == 0
    Path("photos.yaml").write_text(Path("photos.yaml").read_text().replace("/val", "/old"))
    missing = "error: photos.yaml:2:63: missing data set imagefolder: no folder photos/old\n"
    assert call("validate", "--deep", "photos.yaml").err.startswith(missing)
    Path("photos.yaml").write_text(Path("photos.yaml").read_text().replace("val:", "valid:"))
    assert call("validate", "photos.yaml").err == (
        "error: photos.yaml:2:58: unknown setting 'valid' in data.path\n"
        "    did you mean: val\n    allowed: train, val, test\n"
    )


def test_vast_image_is_no_hindrance_to_a_new_spec(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    before = call("new", "photos", "--out", "-").out
    (tmp_path / "photos" / "dog" / "vast.pgm").write_bytes(b"P5\n20000 20000\n255\n")
    assert call("new", "photos", "--out", "-").out == before


def test_folder_of_two_classes_is_refused_at_the_path(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    (tmp_path / "photos" / "hund").symlink_to("dog")
    assert is_golden("folder_of_two_classes", problem(call), tmp_path)
    assert call("new", "photos").err.startswith("error: the same folder belongs to two classes")


@pytest.mark.slow
def test_notes_on_left_out_files_are_printed_once_by_every_verb(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    (tmp_path / "photos" / "cat" / "self").symlink_to(".")
    os.mkfifo(tmp_path / "photos" / "dog" / "pipe.png")
    Path("photos.yaml").write_text(SPEC + "sweep: {grid: {resize: [8, 9]}}\n")
    what = (
        f"left out of {tmp_path}/photos: cat/self (a link to cat, whose images are there already),"
        " dog/pipe.png (a pipe)"
    )
    assert call("validate", "--deep", "photos.yaml").err == f"note: {what}\n"
    assert call("plan", "photos.yaml").out.count(f"\nnote      {what}\n") == 1
    assert json.loads(call("plan", "photos.yaml", "--format", "json").out)["notes"] == [what]
    ran = call("run", "photos.yaml", "--limit", "1")
    assert ran.code == 0
    assert ran.err.startswith(f"note: {what}\nprepare imagefolder\n")


def test_specs_with_one_table_name_are_refused(tmp_path: Path, call: Call) -> None:
    tables = "tables: {accuracies: {VAL: val_accuracy}}\n"
    Path("one.yaml").write_text(SPEC + tables)
    Path("two.yaml").write_text(SPEC.replace("name: photos", "name: other") + tables)
    refused = call("validate", "one.yaml", "two.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert is_golden("two_specs_with_one_table", refused.err, tmp_path)


def test_model_that_does_not_fit_is_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"a": 6, "b": 6})
    found = problem(call, "filters=[4, 4, 4, 4]")
    assert "images of 8×8 pixels are too small for 4 blocks" in found
    assert (
        "hint: take another network, or other images (data.resize, data.crop, data.color)" in found
    )


def test_batch_larger_than_the_images_cannot_be_the_only_one(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"a": 6, "b": 6})
    found = problem(call, "train.drop_last=true", "batch_size=100")
    assert "train.batch_size is 100, but there are only 6 training images" in found


def test_problems_are_all_told_at_once(call: Call) -> None:
    Path("wrong.yaml").write_text(TINY.replace("epochs: 2", "epochs: 0").replace("[4]", "[0]"))
    refused = call("validate", "wrong.yaml")
    assert "wrong.yaml:4:29: model.hidden.0 is 0" in refused.err
    assert "wrong.yaml:5:17: train.epochs is 0" in refused.err


def test_crop_larger_than_the_images_is_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    found = problem(call, "crop=9")
    assert "data.crop is 9×9, larger than the image of 8×8 pixels" in found


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("~nobody-at-all/photos", "no folder ~nobody-at-all/photos: Could not determine home"),
        ("x" * 5000, "the data cannot be read: [Errno"),
        ("loop", "missing data set imagefolder: no folder loop"),
    ],
    ids=["unknown user", "long", "links"],
)
def test_folder_that_cannot_be_is_refused_at_its_position(
    tmp_path: Path, call: Call, folder: str, found: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    Path("photos.yaml").write_text(SPEC.replace("path: photos", f"path: {folder}"))
    refused = problem(call)
    assert refused.startswith("error: photos.yaml:2:36: ")
    assert found in refused
    planned = call("plan", "photos.yaml")
    assert (planned.code, found in planned.err + planned.out) == (
        2 if "Errno" in found else 0,
        True,
    )


def test_resized_image_of_too_many_pixels_is_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    Image.new("L", (2, 100)).save(tmp_path / "photos" / "cat" / "0.png")
    found = problem(call, "resize=16384")
    assert "data.resize would make 819200×16384 pixels of an image of 100×2" in found


AUGMENTED = """\
sweep:
  rows:
    - {label: too large, augment: [RandomEqualize, {name: RandomCrop, size: 9}]}
    - {label: padded, augment: [{name: RandomCrop, size: 9, padding: [0, 1]}]}
    - {label: other size, augment: [{name: Resize, size: 10}, RandomHorizontalFlip]}
    - {label: mirrored, augment: [{name: RandomCrop, size: 8, padding: 8, padding_mode: reflect}]}
    - label: chosen
      augment:
        - name: one_of
          choices:
            - RandomEqualize
            - [RandomHorizontalFlip, {name: GaussianBlur, kernel_size: 17}]
    - {label: too wide, augment: [{name: Resize, size: [1, 9000]}, {name: Resize, size: 2}]}
    - {label: fits, augment: [{name: Resize, size: 10}, {name: RandomCrop, size: 8}]}
"""


def test_augmentations_that_do_not_fit_the_images_are_refused(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    Path("photos.yaml").write_text(SPEC + AUGMENTED)
    assert is_golden("augmentation_sizes", problem(call), tmp_path)


def test_file_that_cannot_be_read_is_refused_with_its_path(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"cat": 8, "dog": 8})
    (tmp_path / "photos" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert "gone.png" in problem(call, "epochs=1")


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError("train.txt:3: not whole numbers"), ""),
        (FileNotFoundError(2, "No such file or directory", "photos/train.txt"), ""),
        (
            PermissionError(13, "Permission denied", "photos/cat"),
            "    hint: give the right to read its folders and files\n",
        ),
    ],
)
def test_rights_are_asked_for_only_where_they_are_lacking(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: OSError, hint: str
) -> None:
    def build(self: ImageFolder, access: DataAccess) -> ImageSource:
        raise error

    monkeypatch.setattr(ImageFolder, "build", build)
    found = problem(call)
    assert found == f"error: photos.yaml:2:36: the data cannot be read: {error}\n{hint}"


def test_provisional_keys_tell_pretrained_networks_from_fresh_ones(call: Call) -> None:
    Path("photos.yaml").write_text(
        "name: photos\n"
        "data: {dataset: imagefolder, path: nowhere}\n"
        "model: {name: resnet18}\n"
        "sweep: {rows: [{weights: IMAGENET1K_V1, epochs: 2}, {weights: null, epochs: 3}]}\n"
    )
    planned = call("plan", "photos.yaml")
    assert "epochs    5 to do of 5, at most" in planned.out


TOP5 = """\
name: photos
data: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train:
  epochs: 2
  early_stopping: {monitor: val_top5_accuracy}
tables:
  photos:
    GAP: {metric: test_accuracy - test_top5_accuracy}
"""


def test_measures_that_need_more_classes_are_refused_at_their_positions(
    tmp_path: Path, call: Call
) -> None:
    Path("photos.yaml").write_text(TOP5)
    assert is_golden("measure_of_too_few_classes", problem(call), tmp_path)
    refused = call("run", "photos.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert not Path("results.db").exists()
    assert call("validate", "photos.yaml", "--deep", "--set", "data.classes=6").code == 0

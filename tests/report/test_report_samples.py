"""Augmented images as `plot` shows them: the data's own, beside what the pipeline makes."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from runner.api.plotting import PlotOptions, draw
from runner.components.data.dataset import DataAccess
from runner.core.errors import DataError, SpecError, UsageError
from runner.engine.data.augment import augmented_samples
from runner.spec.experiment import load_experiment

SPEC = """
name: flips
data: {dataset: synthetic, classes: 3, images: 60, height: 6, width: 6}
model: mlp
sweep:
  rows:
    - {label: none}
    - {label: turned, augment: {p: 0.5, steps: [{name: RandomRotation, degrees: 90}]}}
    - {label: mirrored, augment: [RandomHorizontalFlip]}
    - {label: mirrored too, lr: 0.1, augment: [RandomHorizontalFlip]}
    - {label: gray, data.color: gray, augment: [RandomHorizontalFlip]}
"""


PHOTOS = """
name: photos
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25}
model: mlp
train: {augment: [RandomHorizontalFlip]}
"""


def write_photos(folder: Path, each: int = 8) -> None:
    """Write images of 4×4 pixels, each of its own colour."""
    for label, name in enumerate(("cat", "dog")):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(each):
            photo = Image.new("RGB", (4, 4), (20 * number, 100 * label, 200))
            photo.save(folder / "photos" / name / f"{number}.png")


def drawn(folder: Path, text: str = SPEC, **options: object) -> Figure:
    path = folder / "flips.yaml"
    path.write_text(text, encoding="utf-8")
    db = folder / "results.db"
    wanted = PlotOptions(kind="augmentations", db=db, **options)  # type: ignore[arg-type]
    figure = draw(path, wanted).figure
    assert not db.exists()
    return figure


def pictures(figure: Figure) -> list[NDArray[np.uint8]]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def titles(figure: Figure) -> list[str]:
    return [title for axes in figure.axes if (title := axes.get_title())]


@pytest.mark.slow
def test_originals_are_training_images_and_the_rest_is_what_the_engine_makes(
    tmp_path: Path,
) -> None:
    figure = drawn(tmp_path, only=["turned"], images=3)
    shown = np.stack(pictures(figure)).reshape(3, 5, 6, 6, 3)
    assert titles(figure) == ["original", *(f"turned ({number})" for number in (1, 2, 3, 4))]
    labels = [axes.get_ylabel() for axes in figure.axes[::5]]
    assert labels == ["class_0", "class_1", "class_2"]
    (cell,) = [
        item
        for item in load_experiment(tmp_path / "flips.yaml").cells
        if item.cell.labels["label"] == "turned"
    ]
    settings = cell.settings
    assert settings.train.augment is not None
    source = settings.data.build(DataAccess((), lambda folder, names: []))
    images = [np.asarray(source.read(index)) for index in range(len(source.names))]
    for label, original in enumerate(shown[:, 0]):
        found = [index for index, image in enumerate(images) if np.array_equal(image, original)]
        assert label in {source.labels[index] for index in found}
    made = augmented_samples(shown[:, 0].copy(), settings.train.augment, 0, 4, (0.5,))
    assert np.array_equal(shown[:, 1:].swapaxes(0, 1), made)


@pytest.mark.slow
def test_pipelines_have_columns_and_preprocessings_rows(tmp_path: Path) -> None:
    figure = drawn(tmp_path, images=2)
    assert titles(figure) == [
        *("original", "turned (1)", "turned (2)"),
        *("mirrored and 1 more\n(1)", "mirrored and 1 more\n(2)"),
        *("original", "gray (1)", "gray (2)", "gray (3)", "gray (4)"),
    ]
    assert {picture.shape for picture in pictures(figure)} == {(6, 6, 3), (6, 6)}
    caption = figure.legends[0].get_title().get_text()
    assert "with probability 0.5 or 1" in " ".join(caption.split())


@pytest.mark.slow
def test_sample_images_are_all_different_beyond_one_a_class(tmp_path: Path) -> None:
    originals = pictures(drawn(tmp_path, only=["mirrored"], images=7))[::5]
    assert len({picture.tobytes() for picture in originals}) == 7


def test_sample_figure_without_augmentation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no chosen cell of .* augments its images"):
        drawn(tmp_path, only=["none"])


def test_pipelines_too_many_for_a_figure_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.report.figures.augmented.MOST_PIPELINES", 1)
    with pytest.raises(UsageError, match="2 different augmentations; a figure takes 1"):
        drawn(tmp_path)


def test_pipeline_that_the_images_cannot_go_through_is_told_with_its_position(
    tmp_path: Path,
) -> None:
    text = SPEC.replace("augment: [RandomHorizontalFlip]", "augment: [{name: Resize, size: 9}]", 1)
    with pytest.raises(SpecError, match=r"flips.yaml:9:\d+: train.augment.steps.0"):
        drawn(tmp_path, text)


def test_images_of_different_sizes_are_told_as_when_they_are_prepared(tmp_path: Path) -> None:
    write_photos(tmp_path)
    for photo in (tmp_path / "photos" / "dog").iterdir():
        Image.new("RGB", (5, 6)).save(photo)
    with pytest.raises(
        DataError, match=r"cat/\d.png is 4×4 pixels, dog/\d.png is 6×5 .*; set data"
    ):
        drawn(tmp_path, PHOTOS, data=tmp_path)


@pytest.mark.slow
def test_corrupt_images_are_skipped_before_the_split_as_the_engine_does(tmp_path: Path) -> None:
    write_photos(tmp_path)
    for number in (0, 3, 5):
        (tmp_path / "photos" / "cat" / f"{number}.png").write_bytes(b"no image")
    text = PHOTOS.replace("test: 0.25", "test: 0.25, on_corrupt: skip")
    figure = drawn(tmp_path, text, data=tmp_path, images=8)
    shown = [picture[0, 0] for picture in pictures(figure)[::5]]
    settings = load_experiment(tmp_path / "flips.yaml").cells[0].settings
    names = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(8)]
    kept = [name for name in names if name not in ("cat/0.png", "cat/3.png", "cat/5.png")]
    labels = [int(name.startswith("dog")) for name in kept]
    train = settings.data.split(labels, ("cat", "dog"), ())["train"]
    colours = {(20 * int(kept[index][4]), 100 * labels[index], 200) for index in train}
    assert {tuple(map(int, colour)) for colour in shown} == colours
    assert len(colours) == 6


def test_corrupt_image_that_is_shown_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path, each=4)
    for photo in (tmp_path / "photos" / "dog").iterdir():
        photo.write_bytes(b"no image")
    allowed = "remove it, or set data.on_corrupt: skip"
    with pytest.raises(DataError, match=rf"(?s)dog/\d.png cannot be decoded: .*{allowed}"):
        drawn(tmp_path, PHOTOS, data=tmp_path)


def test_images_that_cannot_be_split_are_an_error(tmp_path: Path) -> None:
    write_photos(tmp_path, each=1)
    with pytest.raises(DataError, match="class 'cat' has 1 image left"):
        drawn(tmp_path, PHOTOS, data=tmp_path)

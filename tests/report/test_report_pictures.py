"""Sheets of pictures show what they are given, where it belongs."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from runner.report.figures.embedding import neighbours, points_of_classes
from runner.report.figures.page import save, style
from runner.report.figures.pictures import filters, heat, neurons, saliency, tiled

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (2, 8, 6, 3)).astype(np.uint8)


def words(figure: Figure) -> str:
    texts = [figure.get_suptitle()]
    for axes in figure.axes:
        texts += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
    for legend in figure.legends:
        texts += [legend.get_title().get_text(), *(each.get_text() for each in legend.get_texts())]
    return "\n".join(filter(None, texts))


def shown(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def test_tiles_hold_every_picture_once() -> None:
    pictures = DRAW.random((5, 3, 4, 3))
    sheet = tiled(pictures)
    assert sheet.shape == (3 * 3 + 2, 2 * 4 + 1, 3)
    assert np.array_equal(sheet[4:7, :4], pictures[2])
    assert (sheet[3] == 1).all()
    assert (sheet[8:, 5:] == 1).all()


def test_filters_are_drawn_before_and_after() -> None:
    before, after = DRAW.random((4, 3, 3, 3)), DRAW.random((4, 3, 3, 3))
    with style():
        figure = filters("net", "conv1", before, after)
    assert np.array_equal(shown(figure)[0], tiled(before))
    assert np.array_equal(shown(figure)[1], tiled(after))
    assert "4 filters of conv1, 3×3×3; both under one scale" in words(figure)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(7, 5, 4), (7, 5, 4, 3), (7, 5, 4, 1)])
def test_neurons_are_drawn_one_by_one(shape: tuple[int, ...]) -> None:
    pictures = DRAW.random(shape)
    with style():
        figure = neurons("net", "hidden1", range(10, 17), pictures)
    assert len(shown(figure)) == 7
    assert np.array_equal(shown(figure)[6], pictures[6].squeeze())
    assert "neuron 16" in words(figure)
    assert ("summed over the channels" in words(figure)) is (len(shape) == 3)


@pytest.mark.slow
def test_saliency_is_drawn_beside_its_image(tmp_path: Path) -> None:
    pictures = {
        "negative": DRAW.random((2, 8, 6, 3)),
        "color": DRAW.random((2, 8, 6, 3)),
        "gray": DRAW.random((2, 8, 6)),
    }
    with style():
        figure = saliency("net", IMAGES, ["cat $5", "dog; predicted cat"], pictures, "gradient")
        save(figure, tmp_path / "shown.png")
    rows = shown(figure)
    assert len(rows) == 2 * 4
    assert np.array_equal(rows[4], IMAGES[1])
    assert np.array_equal(rows[5], pictures["color"][1])
    assert np.array_equal(rows[7], pictures["negative"][1])
    assert [axes.get_title() for axes in figure.axes[:4]] == ["image", "colour", "gray", "negative"]
    assert (tmp_path / "shown.png").stat().st_size > 1000


def test_maps_are_drawn_over_their_images() -> None:
    maps = np.stack([DRAW.random((8, 6)) * 7, np.zeros((8, 6))])
    with style():
        figure = heat("net", IMAGES, ["cat", "dog"], maps, "conv5")
    rows = shown(figure)
    assert len(rows) == 2 * 4
    assert np.allclose(rows[1], maps[0] / maps[0].max())
    assert np.array_equal(rows[2], IMAGES[0])
    assert (rows[5] == 0).all()
    assert "Grad-CAM of conv5" in words(figure)


def test_embedding_colours_the_largest_classes() -> None:
    labels = [0] * 3 + [1] + [label for label in range(2, 23) for _ in range(2)]
    points = DRAW.random((len(labels), 2))
    names = [f"class {label}" for label in range(24)]
    with style():
        figure = points_of_classes("net", points, labels, names, "outputs of fc", (0.5, 0.25))
    entries = words(figure)
    assert "class 0\n" in entries
    assert "class 1\n" not in entries
    assert "3 other classes" in entries
    assert "first component, 50% of the variance" in entries
    drawn = sum(len(line.get_xdata()) for line in figure.axes[0].lines)
    assert drawn == len(labels)


def test_neighbours_are_drawn_in_their_order() -> None:
    nearest = DRAW.integers(0, 256, (2, 3, 8, 6, 1)).astype(np.uint8)
    near = [["cat 0.1", "cat 0.2", "dog 0.3"], ["dog 0.1", "dog 0.2", "dog 0.4"]]
    with style():
        figure = neighbours("net", IMAGES, ["cat", "dog"], nearest, near, "cosine distance")
    rows = shown(figure)
    assert len(rows) == 8
    assert np.array_equal(rows[7], nearest[1, 2, :, :, 0])
    assert words(figure).index("cat 0.2") < words(figure).index("dog 0.3")

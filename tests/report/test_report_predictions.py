"""Sheets of predictions and confusion matrices, as drawn."""

import numpy as np
import pytest

from runner.report.figures.page import style
from runner.report.figures.predictions import (
    MOST_COUNTED,
    OTHER,
    RIGHT,
    WRONG,
    PredictedImage,
    confusion,
    predictions,
    sheet,
)


def image(name: str, label: str, *top: tuple[str, float]) -> PredictedImage:
    return PredictedImage(np.zeros((4, 5, 3), np.uint8), name, label, top)


@pytest.mark.slow
def test_sheet_says_of_each_image_what_it_is_and_what_is_predicted() -> None:
    shown = [
        image("cat/1.png", "cat", ("dog", 0.75), ("cat", 0.2), ("emu", 0.05)),
        image(f"{'x' * 40}/2.png", "emu", ("emu", 0.99999), ("dog", 0.00001)),
        image("a$b.png", "a$b", ("a$b", 1.0)),
    ]
    with style():
        figure = sheet("three", shown, "test images")
        figure.draw_without_rendering()
    left, right, second, _, third, _ = figure.axes
    assert left.get_xlabel() == "cat/1.png"
    assert second.get_xlabel().startswith("…x")
    assert second.get_xlabel().endswith("/2.png")
    assert third.get_xlabel() == r"a\$b.png"
    assert right.get_title(loc="left") == "label: cat"
    assert [each.get_text() for each in right.get_yticklabels()] == ["dog", "cat", "emu"]
    assert [each.get_text() for each in right.texts] == ["75.0 %", "20.0 %", "5.0 %"]
    colors = [bar.get_facecolor() for bar in right.patches]
    from matplotlib.colors import to_rgba

    assert colors == [to_rgba(WRONG), to_rgba(RIGHT), to_rgba(OTHER)]
    assert [bar.get_width() for bar in right.patches] == [0.75, 0.2, 0.05]
    assert [each.get_text() for each in figure.axes[3].texts] == ["> 99.9 %", "< 0.1 %"]
    assert [each.get_text() for each in figure.axes[5].texts] == ["100 %"]


def test_pages_show_the_predicted_class_first_and_the_label_where_it_is_far_behind() -> None:
    shares = np.array([[0.5, 0.2, 0.15, 0.1, 0.04, 0.01]])
    arrays = {
        "class_names": np.array(list("abcdef")),
        "chosen_images": np.zeros((1, 4, 4, 1), np.uint8),
        "chosen_labels": np.array([5]),
        "chosen_predicted": np.array([0]),
        "chosen_probabilities": shares,
        "chosen_names": np.array(["one"]),
    }
    with style():
        (figure,) = predictions("run", arrays).values()
        figure.draw_without_rendering()
    bars = figure.axes[1]
    assert [each.get_text() for each in bars.get_yticklabels()] == ["a", "b", "c", "d", "f"]
    assert [bar.get_width() for bar in bars.patches] == [0.5, 0.2, 0.15, 0.1, 0.01]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, MOST_COUNTED + 1])
def test_matrix_shades_rows_by_share_and_writes_counts_where_there_is_room(classes: int) -> None:
    matrix = np.zeros((classes, classes), np.int64)
    matrix[0, :2] = [3, 1]  # of the others there is no image
    with style():
        names = [f"c{number}" for number in range(classes)]
        figure = confusion("run", matrix, names, "test images")
        figure.draw_without_rendering()
    axes = figure.axes[0]
    shares = axes.images[0].get_array()
    assert shares is not None
    assert shares[0, :2].tolist() == [0.75, 0.25]
    assert float(shares.sum()) == 1
    assert [each.get_text() for each in axes.texts] == (["3", "1"] if classes == 2 else [])
    assert [each.get_text() for each in axes.get_yticklabels()][:2] == ["c0", "c1"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "class")

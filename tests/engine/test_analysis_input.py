"""What analyses are given: images by their names."""

from types import SimpleNamespace
from typing import Any

import pytest

from runner.core.errors import StageFailed
from runner.engine.analyses.result import AnalysisInput

INDEX = {
    "names": ["a.png", "c.png", "d.png"],
    "skipped": [{"name": "b.png", "error": "it is cut off"}],
}


def given() -> AnalysisInput:
    made_up: Any = SimpleNamespace(index=INDEX)
    return AnalysisInput(
        name="saliency",
        context=made_up,
        network=made_up,
        settings=made_up,
        epoch=1,
        shape=(1, 8, 8),
        num_classes=2,
        images=made_up,
        partial_values=made_up,
    )


def test_images_are_found_by_their_names() -> None:
    assert given().numbers_of(["d.png", "a.png"]).tolist() == [2, 0]


def test_an_image_that_was_left_out_is_named_with_the_reason() -> None:
    why = "the image b.png was left out, as it cannot be decoded: it is cut off"
    with pytest.raises(StageFailed, match=why):
        given().numbers_of(["a.png", "b.png"])

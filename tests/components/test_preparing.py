"""What follows of images from settings alone is what a look at the images finds."""

from pathlib import Path
from typing import Any

import pytest
from layouts import write_files
from pydantic import TypeAdapter

from runner.artifacts.hashes import HashCache
from runner.components.data import Data
from runner.components.data.dataset import DataAccess
from runner.components.data.preparing import prepared_shape
from runner.engine.stages.prepare import transform

SYNTHETIC = {"dataset": "synthetic", "height": 20, "width": 31, "images": 20, "classes": 5}


@pytest.mark.parametrize(
    "settings",
    [
        {"dataset": "digits"},
        {"dataset": "digits", "color": "rgb", "resize": 12},
        SYNTHETIC,
        {**SYNTHETIC, "resize": 13},
        {**SYNTHETIC, "resize": 13, "crop": [10, 9], "color": "gray"},
        {**SYNTHETIC, "resize": [9, 40]},
        {"dataset": "cifar10"},
        {"dataset": "cifar100", "crop": 28},
        {"dataset": "caltech101", "resize": 24, "crop": 20, "include": ["Bass", "ant"]},
        {"dataset": "imagefolder", "path": "photos", "resize": [8, 9], "include": ["0", "1"]},
    ],
    ids=str,
)
def test_prepared_shape_and_classes_are_those_of_the_data(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    data: Any = TypeAdapter(Data).validate_python(settings, strict=False)
    with write_files(settings["dataset"], tmp_path):
        access = DataAccess((tmp_path,), HashCache(tmp_path / "hashes").hash_files)
        source = data.build(access)
        height, width, channels = transform(source.read(0), data).shape
    assert prepared_shape(data) == (channels, height, width)
    assert data.num_classes() == len(source.classes)


@pytest.mark.parametrize("resize", [{}, {"resize": 24}])
def test_prepared_shape_of_images_of_many_sizes_is_not_known(resize: dict[str, Any]) -> None:
    data: Any = TypeAdapter(Data).validate_python({"dataset": "caltech101", **resize})
    assert prepared_shape(data) is None
    assert data.num_classes() == 101

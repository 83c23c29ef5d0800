"""Food-101 in the official layout, which is torchvision's."""

import json
from pathlib import Path
from typing import Literal

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, DatasetSettings, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.published import ListedImage, listed_source
from runner.components.data.splitting import Split

NUM_CLASSES = 101
ARCHIVE = Archive(
    (
        PublicFile(
            "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
            "85eeb15f3717b99a5da872d97d918f87",
            4_996_278_331,
        ),
    ),
    folder="food-101",
)
LISTS: dict[Split, str] = {"train": "meta/train.json", "test": "meta/test.json"}


class Food101(DatasetSettings):
    """Food-101 (Bossard, Guillaumin and Van Gool, 2014): photographs of 101 dishes.

    75,750 images train, of which some are mislabelled on purpose, 25,250 test; no side is longer
    than 512 pixels.
    """

    dataset: Literal["food101"]

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return NUM_CLASSES

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training and test images in the order of their lists.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        found = {split: _read(root / file) for split, file in LISTS.items()}
        classes = sorted(found["train"])
        if classes != sorted(found["test"]):
            raise OSError(f"{root} is not as it was published: its two lists differ in classes")
        images = [
            ListedImage(f"images/{name}.jpg", classes.index(dish), split)
            for split, listed in found.items()
            for dish, names in listed.items()
            for name in names
        ]
        return listed_source(access, root, images, classes, list(LISTS.values()))


def _read(path: Path) -> dict[str, list[str]]:
    """Return the names of images by class."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise OSError(f"{path} is no JSON: {error}") from None
    is_list = isinstance(content, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in content.values()
    )
    if not is_list:
        raise OSError(f"{path} is not as it was published: it holds no lists of names by class")
    return dict(content)

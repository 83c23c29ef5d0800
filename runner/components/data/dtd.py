"""The Describable Textures Dataset in torchvision's layout."""

from typing import Literal

from pydantic import Field

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, DatasetSettings, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.published import ListedImage, lines_of, listed_source
from runner.components.data.splitting import SPLITS

NUM_CLASSES = 47
ARCHIVE = Archive(
    (
        PublicFile(
            "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
            "fff73e5086ae6bdbea199a49dfb8a4c1",
            625_239_812,
        ),
    ),
    folder="dtd/dtd",
)


class Dtd(DatasetSettings):
    """DTD (Cimpoi et al., 2014): textures of 47 kinds, such as `braided` and `dotted`.

    5,640 photographs of several sizes; in each partition 1,880 train, validate and test.
    """

    dataset: Literal["dtd"]
    partition: int = Field(1, ge=1, le=10, description="which of the ten official splits")

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return NUM_CLASSES

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training, validation and test images in the order of their lists.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        lists = [f"labels/{split}{self.partition}.txt" for split in SPLITS]
        rows = [
            (kind, name, split)
            for split, file in zip(SPLITS, lists, strict=True)
            for kind, name in lines_of(root / file, 2, "/")
        ]
        classes = sorted({kind for kind, _, _ in rows})
        images = [
            ListedImage(f"images/{kind}/{name}", classes.index(kind), split)
            for kind, name, split in rows
        ]
        return listed_source(access, root, images, classes, lists)

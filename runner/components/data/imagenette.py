"""Imagenette in torchvision's layout."""

from typing import Literal

from pydantic import Field

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, DatasetSettings, ImageSource
from runner.components.data.files import file_source
from runner.components.data.finding import find_root
from runner.components.data.listing import Listing, list_images
from runner.components.data.splitting import Split

HOME = "https://s3.amazonaws.com/fast-ai-imageclas"


def _archive(name: str, md5: str, num_bytes: int) -> Archive:
    return Archive((PublicFile(f"{HOME}/{name}.tgz", md5, num_bytes),), folder=name)


ARCHIVES = {
    "full": _archive("imagenette2", "fe2fc210e6bb7c5664d602c3cd71e612", 1_557_161_267),
    "320px": _archive("imagenette2-320", "3df6f0d01a2c9592104656642f5e78a3", 341_663_724),
    "160px": _archive("imagenette2-160", "e793b78cc4c9e9a4ccc0c1155377a412", 99_003_388),
}
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
"""Names of the classes by folder, in the order of the labels."""

FOLDERS: dict[Split, str] = {"train": "train", "test": "val"}


class Imagenette(DatasetSettings):
    """Imagenette (Howard, 2019; Apache 2.0): ten easily told classes of ImageNet.

    9,469 photographs train. The 3,925 in the folder `val`, on which results are published, are the
    test images here; those that choose the best epoch are held out of the training images.
    """

    dataset: Literal["imagenette"]
    size: Literal["full", "320px", "160px"] = Field(
        "full", description="photographs as they are, or with a shorter side of at most so much"
    )

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return len(CLASSES)

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: by split, class and name.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for a folder that is not in the official layout.
        """
        archive = ARCHIVES[self.size]
        root = find_root(access, archive.folder, archive.how_to_get(), archive)
        names: list[str] = []
        labels: list[int] = []
        splits: list[Split] = []
        notes: list[str] = []
        for split, folder in FOLDERS.items():
            listing = list_images(root / folder)
            if listing.classes != tuple(CLASSES):
                found = ", ".join(listing.classes) or "none"
                what = f"{folder} holds images of {found}"
                raise OSError(f"{root} is not as it was published: {what}")
            names += [f"{folder}/{name}" for name in listing.names]
            labels += listing.labels
            splits += [split] * len(listing.names)
            notes += listing.notes
        every = Listing(tuple(names), tuple(labels), tuple(CLASSES.values()), notes=tuple(notes))
        return file_source(access, root, every, splits)

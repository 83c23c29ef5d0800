"""Any folder of class folders of images."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from runner.components.component import PATH_FIELD
from runner.components.data.dataset import (
    DataPlaces,
    FractionDataset,
    ImageSource,
    MissingData,
    find_root,
)
from runner.core.keys import content_key

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
HOW_TO_GET = (
    "give the folder that holds one folder of images per class, absolute or relative to --data "
    "(RUNNER_DATA), ./data, the current folder or the spec's folder"
)


class ImageFolder(FractionDataset):
    """A folder of class folders; nested folders and hidden files as torchvision's ImageFolder."""

    dataset: Literal["imagefolder"]
    path: str = Field(
        min_length=1, description="the folder of class folders", json_schema_extra=PATH_FIELD
    )

    def build(self, places: DataPlaces) -> ImageSource:
        """Return the source: class folders sorted by name, images sorted within them.

        Raises:
            MissingData: when the folder is not found, or holds no class folders with images.
        """
        root = find_root(places, self.path, HOW_TO_GET)
        names, labels, classes = list_images(root)
        if not names:
            raise MissingData(f"no images in class folders under {root}", [root], HOW_TO_GET)
        hashes = places.hash_files(root, names)

        def read(index: int) -> "Image":
            return open_image(root / names[index])

        return ImageSource(
            names=tuple(names),
            labels=tuple(labels),
            classes=tuple(classes),
            splits=(),
            fingerprint=content_key("fingerprint", list(zip(names, hashes, strict=True))),
            read=read,
            root=root,
        )


def list_images(root: Path) -> tuple[list[str], list[int], list[str]]:
    """Return relative names, labels and class names of the images under ``root``.

    A class folder without images is not a class; hidden files and folders are left out; links to
    folders are followed.
    """
    names: list[str] = []
    labels: list[int] = []
    classes: list[str] = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        if folder.name.startswith("."):
            continue
        found = sorted(
            (Path(where) / file).relative_to(root).as_posix()
            for where, _, files in _visible_folders(folder)
            for file in files
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith(".")
        )
        if found:
            names += found
            labels += [len(classes)] * len(found)
            classes.append(folder.name)
    return names, labels, classes


def _visible_folders(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for where, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield where, folders, files


def open_image(path: Path) -> "Image":
    """Return the decoded image at ``path``, first frame, turned as its EXIF data says.

    Raises:
        OSError: when the file cannot be read, is no image, or is truncated.
    """
    from PIL import Image as PillowImage
    from PIL import ImageOps

    with PillowImage.open(path) as image:
        image.load()
        return ImageOps.exif_transpose(image)

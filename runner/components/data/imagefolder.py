"""Any folder of class folders of images."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from runner.components.component import PATH_FIELD
from runner.components.data.dataset import (
    MAX_IMAGES,
    DataPlaces,
    DatasetSettings,
    FractionDataset,
    ImageSource,
    MissingData,
    UnknownClasses,
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


Listing = tuple[list[str], list[int], list[str]]
"""Relative names and labels of images, and the class names."""


class ClassFolders(DatasetSettings):
    """A data set in class folders, of which some classes and images may be chosen.

    What is not chosen is neither read nor part of the fingerprint.
    """

    include: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="names of the classes that are used; all of them when not given",
        json_schema_extra={"neutral": None},
    )
    per_class: int | None = Field(
        None,
        ge=1,
        le=MAX_IMAGES,
        description="at most so many images of each class are used: the first by name",
        json_schema_extra={"neutral": None},
    )

    @field_validator("include", mode="after")
    @classmethod
    def _each_once_in_order(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        # one choice has one key, whatever the order in which it is written
        if names is None:
            return None
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{name} stands twice")
        return tuple(sorted(names))

    def choose(self, listing: Listing) -> Listing:
        """Return what ``include`` and ``per_class`` leave of a listing, labelled anew.

        Raises:
            UnknownClasses: when a class in ``include`` is not there.
        """
        names, labels, classes = listing
        if self.include is not None:
            known = set(classes)
            unknown = [name for name in self.include if name not in known]
            if unknown:
                raise UnknownClasses(unknown, classes)
        included = set(classes if self.include is None else self.include)
        kept = [name for name in classes if name in included]
        members: dict[str, list[str]] = {name: [] for name in classes}
        for name, label in zip(names, labels, strict=True):
            members[classes[label]].append(name)
        chosen = [members[name][: self.per_class] for name in kept]
        return (
            [name for images in chosen for name in images],
            [label for label, images in enumerate(chosen) for _ in images],
            kept,
        )


class ImageFolder(ClassFolders, FractionDataset):
    """A folder of class folders; nested folders and hidden files as torchvision's ImageFolder."""

    dataset: Literal["imagefolder"]
    path: str = Field(
        min_length=1, description="the folder of class folders", json_schema_extra=PATH_FIELD
    )

    def build(self, places: DataPlaces) -> ImageSource:
        """Return the source: class folders sorted by name, images sorted within them.

        Raises:
            MissingData: when the folder is not found, or holds no class folders with images.
            UnknownClasses: when a class in ``include`` is not there.
        """
        root = find_root(places, self.path, HOW_TO_GET)
        listing = list_images(root)
        if not listing[0]:
            raise MissingData(f"no images in class folders under {root}", [root], HOW_TO_GET)
        names, labels, classes = self.choose(listing)
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


def list_images(root: Path) -> Listing:
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

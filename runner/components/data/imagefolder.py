"""Any folder of class folders of images."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from runner.components.component import PATH_FIELD
from runner.components.data.dataset import (
    MAX_IMAGES,
    DataAccess,
    DatasetSettings,
    FractionDataset,
    ImageSource,
    MissingData,
    UnknownClasses,
    find_root,
)
from runner.components.data.files import file_source
from runner.components.data.listing import (
    BrokenLinks,
    Listing,
    class_names,
    enumerated,
    list_images,
)
from runner.components.data.split_folders import refuse_splits

HOW_TO_GET = (
    "give the folder that holds one folder of images per class, absolute or relative to --data "
    "(RUNNER_DATA), ./data, the current folder or the spec's folder"
)


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

    def num_classes(self) -> int | None:
        """Return how many classes there are where the spec names them."""
        return None if self.include is None else len(self.include)

    def list_chosen(self, root: Path, exclude: Collection[str] = ()) -> Listing:
        """Return the images that ``include`` and ``per_class`` choose of the class folders.

        Args:
            root: the folder of class folders.
            exclude: folders that are no classes of the data set.

        Raises:
            UnknownClasses: when a class in ``include`` is not there.
            SharedFolder: when a folder belongs to two of the classes.
            BrokenLinks: when an image is a link to nothing, unless those are left out.
            OSError: when a folder cannot be read.
        """
        listing = list_images(root, self.include, exclude)
        known = set(listing.classes)
        unknown = [name for name in self.include or () if name not in known]
        if unknown:
            raise UnknownClasses(unknown, class_names(root, exclude))
        if self.on_corrupt == "stop":
            chosen = listing.choose(per_class=self.per_class)
            if chosen.broken:
                raise BrokenLinks(root, chosen.broken)
            return chosen
        if listing.broken:
            note = f"left out of {root}, links to nothing: {enumerated(sorted(listing.broken))}"
            listing = replace(listing, notes=(*listing.notes, note))
        return listing.choose(listing.broken, self.per_class)


class ImageFolder(ClassFolders, FractionDataset):
    """A folder of class folders; nested folders and hidden files as torchvision's ImageFolder.

    Links are followed, each real folder is listed once, and only regular files are images; what is
    left out is named. Two or more class folders called train, val, test and the like are refused,
    unless `include` says that they are classes. What is transparent is laid on `background`.
    """

    dataset: Literal["imagefolder"]
    path: str = Field(
        min_length=1, description="the folder of class folders", json_schema_extra=PATH_FIELD
    )

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: class folders sorted by name, images sorted within them.

        Raises:
            MissingData: when the folder is not found, or holds no class folders with images.
            UnknownClasses: when a class in ``include`` is not there.
            SharedFolder: when a folder belongs to two classes.
            SplitFolders: when class folders look like the parts of a split.
            OSError: when a folder or file cannot be read.
        """
        root = find_root(access, self.path, HOW_TO_GET)
        listing = self.list_chosen(root)
        if self.include is None:
            refuse_splits(listing, root, self.path)
        if not listing.names:
            raise MissingData(f"no images in class folders under {root}", [root], HOW_TO_GET)
        return file_source(access, root, listing)

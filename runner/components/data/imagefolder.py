"""Any folder of class folders of images."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from runner.components.component import PATH_FIELD
from runner.components.data.choosing import Choosing
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource
from runner.components.data.files import file_source
from runner.components.data.finding import MissingData, find_root
from runner.components.data.invalid import UnknownClasses
from runner.components.data.joining import SAME_CLASSES, join_listings, join_sources
from runner.components.data.listing import (
    BrokenLinks,
    Listing,
    SharedFolder,
    class_names,
    enumerated,
    list_images,
)
from runner.components.data.split_folders import insist, refuse_splits, split_parts
from runner.components.data.split_paths import SplitPaths
from runner.components.data.splitting import Split

HOW_TO_GET = (
    "give the folder that holds one folder of images per class, absolute or relative to --data "
    "(RUNNER_DATA), ./data, the current folder or the spec's folder"
)


class ClassFolders(Choosing):
    """A data set in class folders, of which some classes and images may be chosen."""

    def list_chosen(
        self, root: Path, exclude: Collection[str] = (), may_lack: bool = False
    ) -> Listing:
        """Return the images that ``include`` and ``per_class`` choose of the class folders.

        Args:
            root: the folder of class folders.
            exclude: folders that are no classes of the data set.
            may_lack: whether classes in ``include`` need not be there.

        Raises:
            UnknownClasses: when a class in ``include`` is not there.
            SharedFolder: when a folder belongs to two of the classes.
            BrokenLinks: when an image is a link to nothing, unless those are left out.
            OSError: when a folder cannot be read.
        """
        listing = list_images(root, self.include, exclude)
        known = set(listing.classes)
        unknown = [name for name in self.include or () if name not in known]
        if unknown and not may_lack:
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

    Where all of its folders are called train, val, test and the like, with class folders in each,
    these are its splits: `validation` and `test` are fractions of the training images where such a
    split is not there, and not to be given where it is. Links are followed, each real folder is
    listed once, and only regular files are images; what is left out is named. `include` says that
    folders with names of splits are classes. What is transparent is laid on `background`.
    """

    dataset: Literal["imagefolder"]
    path: Annotated[str, Field(min_length=1)] | SplitPaths = Field(
        description="the folder of class folders, or {train: …, val: …, test: …} for splits that"
        " lie apart",
        json_schema_extra=PATH_FIELD,
    )

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: class folders sorted by name, images sorted within them.

        Raises:
            MissingData: when a folder is not found, or holds no class folders with images.
            UnknownClasses: when a class in ``include`` is not there.
            SharedFolder: when a folder belongs to two classes or splits.
            SplitFolders: when folders look like splits and cannot be read as such.
            OSError: when a folder or file cannot be read.
        """
        if isinstance(self.path, SplitPaths):
            return self._apart(access, self.path.given())
        root = find_root(access, self.path, HOW_TO_GET)
        folders = split_parts(root, self.path, self.include)
        if folders:
            hint = f"{SAME_CLASSES}, or {insist(sorted(folders.values()))}"
            roots = {split: root / folder for split, folder in folders.items()}
            return self._of_splits(access, roots, folders, root, hint)
        return file_source(access, root, self._listed(root))

    def _listed(self, root: Path, may_lack: bool = False) -> Listing:
        listing = self.list_chosen(root, may_lack=may_lack)
        if not listing.names:
            raise MissingData(f"no images in class folders under {root}", [root], HOW_TO_GET)
        return listing

    def _apart(self, access: DataAccess, paths: Mapping[Split, str]) -> ImageSource:
        """Return the source of splits that lie apart; their images are called by their split."""
        roots: dict[Split, Path] = {}
        for split, path in paths.items():
            try:
                roots[split] = find_root(access, path, HOW_TO_GET)
            except MissingData as error:
                error.setting = f"path.{split}"
                raise
        real = {split: root.resolve() for split, root in roots.items()}
        for (one, first), (other, second) in combinations(real.items(), 2):
            if first.is_relative_to(second) or second.is_relative_to(first):
                raise SharedFolder(
                    f"the same folder belongs to two splits: {one} is {roots[one]}, {other} is"
                    f" {roots[other]}"
                )
        for split, root in roots.items():
            if self.include is None:
                refuse_splits(list_images(root), root, paths[split])
        return self._of_splits(access, roots, {split: split for split in roots})

    def _of_splits(
        self,
        access: DataAccess,
        roots: Mapping[Split, Path],
        folders: Mapping[Split, str],
        whole: Path | None = None,
        hint: str = SAME_CLASSES,
    ) -> ImageSource:
        """Return the source of several folders of class folders.

        Args:
            access: hashes the files.
            roots: the folder of each split.
            folders: what the names of their images begin with.
            whole: in which they lie under these names, or None.
            hint: what to do where their classes are others.
        """
        listings = {split: self._listed(root, split != "train") for split, root in roots.items()}
        where = ", ".join(map(str, roots.values())) if whole is None else str(whole)
        joined, splits = join_listings(listings, folders, where, hint)
        sources = {
            split: file_source(access, root, listings[split]) for split, root in roots.items()
        }
        return join_sources(sources, joined, splits, folders, whole)

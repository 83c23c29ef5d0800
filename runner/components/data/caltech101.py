"""Caltech-101 in torchvision's layout, with the split of report R1."""

from collections.abc import Sequence
from typing import Literal

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.files import file_source
from runner.components.data.finding import MissingData, find_root
from runner.components.data.imagefolder import ClassFolders
from runner.components.data.splitting import Split

FILE = PublicFile(
    url="https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
    md5="3138e1922a9193bfa496528edbbc45d0",
    num_bytes=137_414_764,
    inner="caltech-101/101_ObjectCategories.tar.gz",
)
ARCHIVE = Archive((FILE,), folder="caltech101/101_ObjectCategories")
BACKGROUND = "BACKGROUND_Google"
NUM_CLASSES = 101


class Caltech101(ClassFolders):
    """8,677 photographs of 101 classes (Fei-Fei, Fergus and Perona, 2004; CC BY 4.0).

    The class BACKGROUND_Google is left out. Test is as in report R1: of the paths sorted without
    regard to case, every third from the first (2,893 images). `validation: 0.5` halves the rest.
    With `include` or `per_class` the paths are those that are left.
    """

    dataset: Literal["caltech101"]

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return super().num_classes() or NUM_CLASSES

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            UnknownClasses: when a class in ``include`` is not there.
            SharedFolder: when a folder belongs to two classes.
            OSError: when a folder or file cannot be read.
        """
        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        listing = self.list_chosen(root, exclude=(BACKGROUND,))
        names = listing.names
        if not names:
            what = f"no images in class folders under {root}"
            raise MissingData(what, [root], f"remove the folder; then {ARCHIVE.how_to_get()}")
        return file_source(access, root, listing, course_split(names))


def course_split(names: Sequence[str]) -> tuple[Split, ...]:
    """Return the split of report R1: of the names sorted without regard to case, every third."""
    order = sorted(range(len(names)), key=lambda index: names[index].lower())
    splits: list[Split] = ["train"] * len(names)
    for index in order[::3]:
        splits[index] = "test"
    return tuple(splits)

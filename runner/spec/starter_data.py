"""What lies at a path, for a spec to begin with: which data set, its labels, splits and sizes.

Files of images are opened for their size only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.components.data.array_files import is_archive
from runner.components.data.array_images import list_arrays
from runner.components.data.dataset import DataAccess
from runner.components.data.files import opened
from runner.components.data.finding import MissingData
from runner.components.data.invalid import InvalidData
from runner.components.data.joining import join_listings
from runner.components.data.listing import list_images
from runner.components.data.split_folders import split_parts
from runner.components.data.splitting import Split
from runner.components.data.table import Table
from runner.components.data.table_files import is_table
from runner.core.errors import UsageError

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class FoundData:
    """A data set at a path.

    Attributes:
        dataset: its name in a spec.
        classes: how many there are.
        labels: class index of each image, in [0, ``classes``).
        splits: of each image, () where there are none.
        sizes: returns the sizes of the images that can be opened.
        gray: whether all images are known to be gray.
    """

    dataset: str
    classes: int
    labels: Sequence[int]
    splits: Sequence[Split]
    sizes: Callable[[], set[Size]]
    gray: bool = False


def look_at(path: Path) -> FoundData:
    """Return what lies at a path: a table, a file of arrays, or a folder of class folders.

    A folder is that of a table where a table in it names files.

    Args:
        path: is there.

    Raises:
        UsageError: when a file is none of these.
        InvalidData: when a table or arrays cannot be used, or folders be read as splits.
        SharedFolder: when a folder belongs to two classes.
        OSError: when something cannot be read.
    """
    if path.is_dir():
        try:
            return _table(path)
        except MissingData:
            return _class_folders(path)
        except InvalidData as error:
            if error.setting != "columns.path":
                raise
            return _class_folders(path)
    if is_archive(path):
        return _arrays(path)
    if is_table(path):
        return _table(path)
    allowed = "a folder, a table (.csv, .tsv, .jsonl, .parquet) or arrays (.npz)"
    raise UsageError(f"{path} is no data set", allowed=allowed)


def _class_folders(folder: Path) -> FoundData:
    folders = split_parts(folder, str(folder))
    splits: Sequence[Split] = ()
    if folders:
        listings = {split: list_images(folder / name) for split, name in folders.items()}
        listing, splits = join_listings(listings, folders, str(folder))
    else:
        listing = list_images(folder)

    def sizes() -> set[Size]:
        return _sizes(folder / name for name in listing.names)

    return FoundData("imagefolder", len(listing.classes), listing.labels, splits, sizes)


def _table(path: Path) -> FoundData:
    table = Table(dataset="table", path=str(path.absolute()))
    listed = table.list_rows(DataAccess((), lambda root, names: []))

    def sizes() -> set[Size]:
        return _sizes(row.root / row.name for row in listed.rows)

    return FoundData("table", len(listed.classes), listed.labels, listed.splits, sizes)


def _arrays(path: Path) -> FoundData:
    listed = list_arrays(path)

    def sizes() -> set[Size]:
        return {(part.shape[2], part.shape[1]) for part in listed.parts}

    gray = all(part.is_gray for part in listed.parts)
    return FoundData("arrays", len(listed.classes), listed.labels, listed.splits, sizes, gray)


def _sizes(files: Iterable[Path]) -> set[Size]:
    """Return the sizes of the images that can be opened."""
    sizes = set()
    for path in files:
        try:
            with path.open("rb") as file, opened(file) as image:
                sizes.add(image.size)
        except OSError:
            continue
    return sizes

"""What lies at a path: which data set, its images, labels and splits.

Owns how a folder of class folders, a table and a file of arrays are told apart. Opens no image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.components.data.array_files import is_archive
from runner.components.data.array_images import ImagePart, list_arrays
from runner.components.data.dataset import DataAccess
from runner.components.data.finding import MissingData
from runner.components.data.invalid import InvalidData
from runner.components.data.joining import join_listings
from runner.components.data.labelled import in_order
from runner.components.data.listing import list_images
from runner.components.data.split_folders import split_parts
from runner.components.data.splitting import Split
from runner.components.data.table import Table
from runner.components.data.table_files import is_table
from runner.components.data.table_rows import Row

KINDS = "a folder, a table (.csv, .tsv, .jsonl, .parquet) or arrays (.npz)"


class NoDataSet(ValueError):
    """What lies at a path is no data set."""


@dataclass(frozen=True, slots=True)
class DataAtPath:
    """A data set at a path.

    Attributes:
        dataset: its name in a spec.
        classes: their names, in order.
        labels: class index of each image, in [0, len(classes)).
        splits: of each image, () where there are none.
        notes: on what was left out, for people.
        files: of the images; () where they are arrays.
        arrays: that hold the images, in their order; () where these are files.
    """

    dataset: Literal["imagefolder", "table", "arrays"]
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    splits: tuple[Split, ...]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    arrays: tuple[ImagePart, ...] = ()


def data_at(path: Path, like: Table | None = None, called: Sequence[str] = ()) -> DataAtPath:
    """Return what lies at a path: a table, a file of arrays, or a folder of class folders.

    A folder is that of a table where a table in it names files.

    Args:
        path: is there.
        like: a table whose settings another one has, but for where it lies; then none of its images
            need be for training.
        called: names of the classes of arrays with the labels 0, 1, 2 …; the labels when not given.

    Raises:
        NoDataSet: when a file is none of these.
        InvalidData: when a table or arrays cannot be used, or folders be read as splits.
        SharedFolder: when a folder belongs to two classes.
        OSError: when something cannot be read.
    """
    if path.is_dir():
        try:
            return _table(path, like)
        except MissingData:
            return _class_folders(path)
        except InvalidData as error:
            if error.setting != "columns.path":
                raise
            return _class_folders(path)
    if is_archive(path):
        listed = list_arrays(path, called or None)
        return DataAtPath(
            "arrays", listed.classes, listed.labels, listed.splits, arrays=listed.parts
        )
    if is_table(path):
        return _table(path, like)
    raise NoDataSet(f"{path} is no data set")


def _class_folders(folder: Path) -> DataAtPath:
    folders = split_parts(folder, str(folder))
    splits: tuple[Split, ...] = ()
    if folders:
        listings = {split: list_images(folder / name) for split, name in folders.items()}
        listing, splits = join_listings(listings, folders, str(folder))
        notes = tuple(note for each in listings.values() for note in each.notes)
    else:
        listing = list_images(folder)
        notes = listing.notes
    files = tuple(folder / name for name in listing.names)
    return DataAtPath("imagefolder", listing.classes, listing.labels, splits, notes, files)


def _table(path: Path, like: Table | None) -> DataAtPath:
    where = {"path": str(path), "root": None}
    table = (like or Table(dataset="table", path=".")).model_copy(update=where)
    access = DataAccess((Path(),), lambda root, names: [])
    if like is not None:
        return _rows(*table.chosen_rows(access))
    listed = table.list_rows(access)
    files = tuple(row.root / row.name for row in listed.rows)
    return DataAtPath("table", listed.classes, listed.labels, listed.splits, listed.left_out, files)


def _rows(rows: Sequence[Row], _: str, notes: Sequence[str]) -> DataAtPath:
    """Return the images of rows, whichever splits there are."""
    classes = in_order({row.label for row in rows})
    numbers = {name: number for number, name in enumerate(classes)}
    labels = tuple(numbers[row.label] for row in rows)
    splits = tuple(row.split for row in rows if row.split is not None)
    files = tuple(row.root / row.name for row in rows)
    return DataAtPath("table", classes, labels, splits, tuple(notes), files)

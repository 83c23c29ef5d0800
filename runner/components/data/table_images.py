"""The images of tables: in which order, of which classes, and what identifies them.

What is in the key is what is used of a table, not its file: other columns and another order of its
rows change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.files import file_source
from runner.components.data.joining import join_sources, split_notes
from runner.components.data.labelled import by_split, training_classes
from runner.components.data.listing import Listing
from runner.components.data.splitting import SPLITS, Split
from runner.components.data.table_rows import Row
from runner.core.keys import content_key


@dataclass(frozen=True, slots=True)
class ListedRows:
    """The images of tables.

    Attributes:
        rows: by split, class and name.
        classes: of the training images, in order.
        notes: for people.
        left_out: those of them on rows that were left out.
    """

    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """Class index of each image, in [0, len(classes))."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return tuple(numbers[row.label] for row in self.rows)

    @property
    def splits(self) -> tuple[Split, ...]:
        """Split of each image, () where the tables have none."""
        return tuple(row.split for row in self.rows if row.split is not None)

    @property
    def groups(self) -> tuple[str, ...]:
        """Group of each image, () where the tables give none."""
        return tuple(row.group for row in self.rows if row.group)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images: their files, below their split where the splits lie apart."""
        apart = len({row.root for row in self.rows}) > 1
        return tuple(f"{row.split}/{row.name}" if apart else row.name for row in self.rows)


def listed_rows(rows: Sequence[Row], where: str, notes: Sequence[str]) -> ListedRows:
    """Return rows in order, with their classes.

    Args:
        rows: all with a split, or none.
        where: the tables, for messages.
        notes: on them.

    Raises:
        InvalidData: when a class has no training images.
    """
    official = any(row.split is not None for row in rows)
    splits = [row.split or "train" for row in rows]
    labels = by_split([row.label for row in rows], splits)

    def places(label: str) -> list[str]:
        return [row.place for row in rows if row.label == label]

    classes = training_classes(labels, places, where)
    numbers = {name: number for number, name in enumerate(classes)}

    def place(row: Row) -> tuple[int, int, str]:
        return SPLITS.index(row.split or "train"), numbers[row.label], row.name

    told = tuple(split_notes(labels, classes, {}, where)) if official else ()
    return ListedRows(tuple(sorted(rows, key=place)), classes, (*notes, *told), tuple(notes))


def rows_source(access: DataAccess, listed: ListedRows) -> ImageSource:
    """Return the source of listed images, identified by their files, labels and splits.

    Args:
        access: hashes the files.
        listed: the images.

    Raises:
        OSError: when a file cannot be read.
    """
    names, labels, splits = listed.names, listed.labels, listed.splits
    whole = Listing(names, labels, listed.classes, notes=listed.notes)
    if names == tuple(row.name for row in listed.rows):
        source = file_source(access, listed.rows[0].root, whole, splits)
    else:
        parts = {split: _part(listed, split) for split in SPLITS if split in splits}
        roots = {row.split: row.root for row in listed.rows}
        sources = {split: file_source(access, roots[split], part) for split, part in parts.items()}
        source = join_sources(sources, whole, splits, {split: split for split in parts}, None)
    identity = {
        "images": source.fingerprint,
        "classes": list(listed.classes),
        "labels": list(labels),
        "splits": list(splits),
    }
    groups = listed.groups
    if groups:
        identity["groups"] = list(groups)
    fingerprint = content_key("fingerprint", {"table": identity})
    return replace(source, fingerprint=fingerprint, groups=groups)


def _part(listed: ListedRows, split: Split) -> Listing:
    """Return the images of one split, relative to its own folder."""

    def own() -> Iterator[tuple[str, int]]:
        for row, label in zip(listed.rows, listed.labels, strict=True):
            if row.split == split:
                yield row.name, label

    names, labels = zip(*own(), strict=True)
    return Listing(names, labels, listed.classes)

"""Rows of a table as images: which file, label and split each names, and which name none.

Owns what a row may say. Everything wrong is told at once, by row; no image is opened.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from runner.components.data.invalid import InvalidData
from runner.components.data.listing import LEADS_NOWHERE, enumerated
from runner.components.data.split_folders import SPLIT_OF
from runner.components.data.splitting import SPLITS, Split
from runner.components.data.table_files import TableFile
from runner.core.errors import nearest
from runner.core.text import first_breaking_character

NO_FILE = "no such file"
LEFT_OUT = "data.on_corrupt: skip leaves out rows without a file"


class Row(NamedTuple):
    """An image of a table.

    Attributes:
        root: folder of the file.
        name: of the file, relative to it, with "/".
        label: name of the class.
        split: that the table gives it, or None.
        place: of the row, for people.
        group: that the table gives it, "" where it gives none.
        is_there: whether the file is.
    """

    root: Path
    name: str
    label: str
    split: Split | None
    place: str
    group: str = ""
    is_there: bool = True


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns in a table; None where it has none."""

    path: str
    label: str
    split: str | None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class _Faults:
    """What is wrong with rows.

    Attributes:
        rows: by kind, each row with what it says.
    """

    rows: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str, said: str = "") -> None:
        self.rows.setdefault(kind, []).append(f"{place} ({said})" if said else place)


def read_rows(
    table: TableFile,
    columns: Columns,
    root: Path,
    split: Split | None,
    may_lack: bool,
    include: Collection[str] | None = None,
) -> list[Row]:
    """Return the images of a table, in the order of its rows.

    Args:
        table: holds the columns.
        columns: what they are called.
        root: folder to which names of files are relative.
        split: that all rows have, None where the table may say it.
        may_lack: whether files may be missing.
        include: labels of the rows that are wanted, None for all; others are not looked at.

    Raises:
        InvalidData: naming the rows with an empty or unusable value, an unknown split, or without
            a file.
    """
    faults = _Faults()
    paths, labels = table.texts(columns.path), table.texts(columns.label)
    splits = table.texts(columns.split) if columns.split is not None else [split or ""] * len(paths)
    groups = table.texts(columns.group) if columns.group is not None else [""] * len(paths)
    rows = []
    texts = zip(table.places, paths, labels, splits, groups, strict=True)
    for place, path, label, text, group in texts:
        if include is not None and label not in include:
            continue
        name = _name(path, root, place, faults)
        if columns.group is not None and not group.strip():
            faults.add("no group", place)
        _check_label(label, place, faults)
        own = split
        if columns.split is not None:
            own = _split(text, split, place, faults)
        if name:
            is_there = _is_there(root, name, place, faults)
            rows.append(Row(root, name, label, own, place, group, is_there))
    missing = [_with_name(row) for row in rows if not row.is_there]
    if missing and not may_lack:
        faults.rows[NO_FILE] = missing
    if faults.rows:
        lines = [f"    {kind}: {enumerated(places)}" for kind, places in faults.rows.items()]
        found = "\n".join([f"{table.path} has rows that cannot be used:", *lines])
        raise InvalidData(found, _hint(faults, root))
    return rows


def first_rows(rows: Sequence[Row], per_class: int | None) -> list[Row]:
    """Return the first ``per_class`` rows of each class in each split, by name; all for None."""
    if per_class is None:
        return list(rows)
    counts: Counter[tuple[Split | None, str]] = Counter()
    first = []
    for row in sorted(rows, key=lambda row: row.name):
        counts[row.split, row.label] += 1
        if counts[row.split, row.label] <= per_class:
            first.append(row)
    return first


def without_missing(rows: Sequence[Row], where: str) -> tuple[list[Row], list[str]]:
    """Return the rows whose file is there, and a note on the others.

    Raises:
        InvalidData: when there is none, or a split has none: another would be drawn in its place.
    """
    there = [row for row in rows if row.is_there]
    missing = [row for row in rows if not row.is_there]
    if not there:
        raise InvalidData(f"no file of {where} is there: {enumerated(map(_with_name, missing))}")
    gone = {row.split for row in missing} - {row.split for row in there}
    for split in SPLITS:
        if split in gone:
            own = [_with_name(row) for row in missing if row.split == split]
            raise InvalidData(
                f"no file of the {split} images of {where} is there: {enumerated(own)}"
            )
    names = enumerated(map(_with_name, missing))
    return there, [f"left out of {where}, {NO_FILE}: {names}"] if missing else []


def _with_name(row: Row) -> str:
    return f"{row.place} ({row.name})"


def _hint(faults: _Faults, root: Path) -> str:
    hints = [f"files are looked for below {root}; data.root names another folder"]
    hints += [LEFT_OUT] if NO_FILE in faults.rows else []
    if any("\\" in said for said in faults.rows.get(NO_FILE, [])):
        hints.insert(0, "folders are separated by /")
    concerns = {NO_FILE, "a path outside of the folder", "not a regular file"}
    return "; ".join(hints) if concerns.intersection(faults.rows) else ""


def _name(path: str, root: Path, place: str, faults: _Faults) -> str:
    """Return a row's file relative to its folder, "" where it cannot be one."""
    if not path:
        faults.add("no path", place)
        return ""
    if first_breaking_character(path) is not None:
        faults.add("a path with a character that cannot be printed", place, path)
        return ""
    name = posixpath.normpath(path)
    if posixpath.isabs(name):
        name = posixpath.relpath(name, root.absolute().as_posix())
    # a link may lead anywhere, so that only the folder above a name without links is known
    if ".." in (*name.split("/"), *path.split("/")) or name == ".":
        faults.add("a path outside of the folder", place, path)
        return ""
    return name


def _is_there(root: Path, name: str, place: str, faults: _Faults) -> bool:
    try:
        found = os.stat(os.path.join(root, name))
    except OSError as error:
        if error.errno not in (*LEADS_NOWHERE, errno.ENAMETOOLONG):
            raise
        return False
    if not stat.S_ISREG(found.st_mode):
        faults.add("not a regular file", place, name)
    return True


def _check_label(label: str, place: str, faults: _Faults) -> None:
    if not label.strip():
        faults.add("no label", place)
    elif label != label.strip():
        faults.add("a label that begins or ends with a space", place, repr(label))
    elif first_breaking_character(label) is not None:
        faults.add("a label with a character that cannot be printed", place, label)


def _split(text: str, whole: Split | None, place: str, faults: _Faults) -> Split | None:
    split = SPLIT_OF.get(text.strip().lower())
    if not text.strip():
        faults.add("no split", place)
    elif split is None:
        similar = nearest(text, list(SPLIT_OF))
        like = f", looks like {similar}" if similar else ""
        faults.add("an unknown split (allowed: train, val, test)", place, f"{text}{like}")
    elif whole not in (None, split):
        faults.add(f"another split than {whole}, which the table is", place, text)
    return split


def refuse_repeated(rows: Iterable[Row], where: str) -> None:
    """Refuse rows that name one file.

    Raises:
        InvalidData: naming them.
    """
    first: dict[tuple[Path, str], Row] = {}
    again = []
    for row in rows:
        before = first.setdefault((row.root, row.name), row)
        if before is not row:
            again.append(f"{before.place} and {row.place} ({row.name})")
    if again:
        raise InvalidData(
            f"rows of {where} that name the same file: {enumerated(again)}", "keep one row of each"
        )


def refuse_parted(rows: Iterable[Row], where: str) -> None:
    """Refuse groups that the tables themselves have in several splits.

    Raises:
        InvalidData: naming them, with a row of two splits each.
    """
    first: dict[str, Row] = {}
    parted: dict[str, str] = {}
    for row in rows:
        if not row.group:
            continue
        before = first.setdefault(row.group, row)
        if before.split != row.split and row.group not in parted:
            parted[row.group] = (
                f"{row.group} ({before.place} {before.split}, {row.place} {row.split})"
            )
    if parted:
        raise InvalidData(
            f"groups of {where} that are in several splits: {enumerated(parted.values())}",
            "give all rows of a group one split, or leave out columns.group",
            "columns.group",
        )

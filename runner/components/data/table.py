"""A table with a row for each image: its file, its label, and, if it says so, its split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from runner.components.component import PATH_FIELD, Component
from runner.components.data.choosing import Choosing
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource
from runner.components.data.finding import MissingData, find_any, find_root
from runner.components.data.invalid import InvalidData, UnknownClasses
from runner.components.data.labelled import in_order
from runner.components.data.listing import enumerated, folder_names
from runner.components.data.split_folders import SPLIT_OF
from runner.components.data.split_paths import SplitPaths
from runner.components.data.splitting import SPLITS, Split
from runner.components.data.table_files import SUFFIXES, read_table
from runner.components.data.table_images import ListedRows, listed_rows, rows_source
from runner.components.data.table_rows import (
    Columns,
    Row,
    first_rows,
    read_rows,
    refuse_parted,
    refuse_repeated,
    without_missing,
)
from runner.components.data.table_splits import splits_by_folder
from runner.core.errors import nearest

METADATA = "metadata"
PATH_COLUMNS = ("path", "file_name")
ANYWHERE = (
    ", absolute or relative to --data (RUNNER_DATA), ./data, the current folder or the spec's"
    " folder"
)
HOW_TO_GET = (
    "give a table (.csv, .tsv, .jsonl, .parquet), or a folder with metadata.csv or metadata.jsonl"
    f"{ANYWHERE}"
)
ROOT = f"give the folder to which the paths in the table are relative{ANYWHERE}"

Name = Annotated[str, Field(min_length=1)]


class TableColumns(Component):
    """What the columns of a table are called."""

    path: Name | None = Field(
        None, description="the image's file; when not given, `path` or `file_name`"
    )
    label: Name = Field("label", description="the name or number of its class")
    group: Name | None = Field(
        None,
        description="what images have in common that are to be in one fold, as the patient",
        json_schema_extra={"neutral": None},
    )
    split: Name | None = Field(
        None,
        description="train, val or test, as folders of a split are called; when not given, `split`"
        " where there is such a column",
    )

    def among(self, names: Sequence[str], table: Path) -> Columns:
        """Return what is called how in a table with columns ``names``.

        Raises:
            InvalidData: when one is lacking, or it cannot be told which it is.
        """
        path = self.path or _path_column(names, table)
        split = self.split
        if split is None:
            split = "split" if "split" in names else None
        else:
            split = _column(split, names, table, "split")
        path = _column(path, names, table, "path")
        label, group = _column(self.label, names, table, "label"), self.group
        if group is not None:
            group = _column(group, names, table, "group")
        return Columns(path, label, split, group)


def _path_column(names: Sequence[str], table: Path) -> str:
    there = [name for name in PATH_COLUMNS if name in names]
    if len(there) > 1:
        raise InvalidData(
            f"{table} has both columns {' and '.join(there)}",
            "say which names the files: columns: {path: …}",
            "columns",
        )
    return there[0] if there else PATH_COLUMNS[0]


def _column(name: str, names: Sequence[str], table: Path, setting: str) -> str:
    if name in names:
        return name
    hint = f"name another: columns: {{{setting}: …}}"
    if any(";" in each for each in names):
        hint = "separate values by commas: this table seems to have semicolons"
    raise InvalidData(
        f"{table} has no column {name}",
        hint,
        f"columns.{setting}",
        allowed=enumerated(names),
        suggestion=nearest(name, names),
    )


class Table(Choosing, FractionDataset):
    """A table (CSV, TSV, JSON Lines, Parquet) with a row for each image: `path`, `label`, `split`.

    The path may be that of a folder in the layout of Hugging Face's ImageFolder: with
    `metadata.csv` or `metadata.jsonl` in it, or in each of its folders train, validation, test.
    Where the table says of which split each image is, `validation` and `test` are fractions of the
    training images for splits that are not there, and not to be given for those that are. Other
    columns are not looked at, and the order of rows does not matter. `include` and `per_class`
    choose in each split; other rows are not looked at.
    """

    dataset: Literal["table"]
    path: Name | SplitPaths = Field(
        description="the table, or the folder with metadata.csv; or {train: …, val: …, test: …}"
        " for a table for each split",
        examples=["photos.csv"],
        json_schema_extra=PATH_FIELD,
    )
    root: Name | None = Field(
        None,
        description="the folder to which the paths in the table are relative; its own when not"
        " given",
        json_schema_extra=PATH_FIELD,
    )
    columns: TableColumns = Field(TableColumns(), description="what columns are called")

    def group_column(self) -> str | None:
        """Return the column of groups."""
        return self.columns.group

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: images by split, class and name.

        Raises:
            MissingData: when a table or folder is not found.
            InvalidData: when a table cannot be used; rows are named.
            UnknownClasses: when a class in ``include`` is not there.
            OSError: when a file cannot be read.
        """
        return rows_source(access, self.list_rows(access))

    def list_rows(self, access: DataAccess) -> ListedRows:
        """Return the images by split, class and name, without looking into their files.

        Raises:
            MissingData: when a table or folder is not found.
            InvalidData: when a table cannot be used; rows are named.
            UnknownClasses: when a class in ``include`` is not there.
            OSError: when a table cannot be read.
        """
        rows, where, notes = self.chosen_rows(access)
        return listed_rows(rows, where, notes)

    def chosen_rows(self, access: DataAccess) -> tuple[list[Row], str, list[str]]:
        """Return the images, also where none is for training; the tables; and notes for people.

        Raises:
            MissingData: when a table or folder is not found.
            InvalidData: when a table cannot be used; rows are named.
            UnknownClasses: when a class in ``include`` is not there.
            OSError: when a table cannot be read.
        """
        tables = self._tables(access)
        where = ", ".join(str(path) for _, path, _ in tables)
        rows: list[Row] = []
        labels: set[str] = set()
        for split, path, folder in tables:
            found = self._rows(path, folder, split, labels)
            if len(tables) > 1:
                found = [row._replace(place=f"{row.place} of {split}") for row in found]
            rows += found
        if unknown := [name for name in self.include or () if name not in labels]:
            raise UnknownClasses(unknown, in_order(labels))
        refuse_repeated(rows, where)
        if all(row.split is None for row in rows):
            rows = splits_by_folder(rows, where)
        refuse_parted(rows, where)
        there, notes = without_missing(rows, where)
        return first_rows(there, self.per_class), where, notes

    def _rows(self, path: Path, folder: Path, split: Split | None, labels: set[str]) -> list[Row]:
        """Return the chosen rows of a table; add all of its labels to ``labels``."""
        chosen: list[Columns] = []

        def choose(columns: Sequence[str]) -> set[str]:
            chosen.append(self.columns.among(columns, path))
            used = chosen[0]
            names = (used.path, used.label, used.split, used.group)
            return {name for name in names if name is not None}

        table = read_table(path, choose)
        labels |= set(table.texts(chosen[0].label))
        may_lack = self.on_corrupt == "skip"
        return read_rows(table, chosen[0], folder, split, may_lack, self.include)

    def _tables(self, access: DataAccess) -> list[tuple[Split | None, Path, Path]]:
        """Return the tables: the split of all rows, the file, and the folder of its images."""
        root = None
        if self.root is not None:
            try:
                root = find_root(access, self.root, ROOT)
            except MissingData as error:
                error.setting = "root"
                raise
        if not isinstance(self.path, SplitPaths):
            path = find_any(access, self.path, HOW_TO_GET)
            found = _tables_in(path) if path.is_dir() else [(None, path)]
            return [(split, path, root or path.parent) for split, path in found]
        tables: list[tuple[Split | None, Path, Path]] = []
        for split, given in self.path.given().items():
            try:
                path = find_any(access, given, HOW_TO_GET)
            except MissingData as error:
                error.setting = f"path.{split}"
                raise
            table = _metadata(path) if path.is_dir() else path
            if table is None:
                raise InvalidData(f"no metadata.csv or metadata.jsonl in {path}", HOW_TO_GET)
            tables.append((split, table, root or table.parent))
        return tables


def _tables_in(folder: Path) -> list[tuple[Split | None, Path]]:
    """Return the table in a folder, or those in the folders of its splits, with their split.

    Raises:
        MissingData: when there is none.
        InvalidData: when it cannot be told which counts.
    """
    whole = _metadata(folder)
    tables = {name: _metadata(folder / name) for name in folder_names(folder)}
    parts = sorted(name for name in tables if name.lower() in SPLIT_OF)
    having = [name for name in parts if tables[name] is not None]
    if whole is not None:
        if having:
            raise InvalidData(
                f"{folder} has a table itself, and others in {enumerated(having)}",
                "name the one that counts, or all of them: path: {train: …, val: …, test: …}",
            )
        return [(None, whole)]
    if not having:
        raise MissingData(f"no metadata.csv or metadata.jsonl in {folder}", [folder], HOW_TO_GET)
    splits = {SPLIT_OF[name.lower()]: tables[name] for name in parts}
    lacking = [name for name in parts if name not in having]
    others = [name for name in tables if name not in parts and tables[name] is not None]
    what = ""
    if lacking:
        what = f"no table in {enumerated(lacking)}"
    elif others:
        what = f"one in {enumerated(others)}, not called like a split"
    elif len(splits) < len(parts):
        what = "two folders of one split"
    if what:
        raise InvalidData(
            f"{folder} has tables in {enumerated(having)}, and {what}",
            "name those that count: path: {train: …, val: …, test: …}",
        )
    return [(split, table) for split in SPLITS if (table := splits.get(split)) is not None]


def _metadata(folder: Path) -> Path | None:
    """Return the table of a folder that is called metadata, None where there is none."""
    there = [path for suffix in SUFFIXES if (path := folder / f"{METADATA}{suffix}").is_file()]
    if len(there) > 1:
        raise InvalidData(
            f"{folder} has {enumerated(path.name for path in there)}", "name the one that counts"
        )
    return there[0] if there else None

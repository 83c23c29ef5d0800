"""Tables in files: CSV, TSV, JSON Lines and Parquet, read strictly and column by column.

Owns the formats. Knows nothing of images: what columns mean is for others to say.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runner.components.data.invalid import InvalidData
from runner.components.data.listing import enumerated

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES, PARQUET = (".jsonl", ".ndjson"), ".parquet"
SUFFIXES = (*DELIMITERS, *JSON_LINES, PARQUET)

Choose = Callable[[Sequence[str]], Collection[str]]
"""From the columns of a table to those that are wanted; raises InvalidData when one is lacking."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """Columns of a table.

    Attributes:
        path: the file.
        columns: values by column, all of one length, not empty. None is no value.
        places: of each row, for people: "line 7", counted from 1 with the head; in Parquet "row 6".
    """

    path: Path
    columns: dict[str, list[Any]]
    places: list[str]

    def texts(self, column: str) -> list[str]:
        """Return a column as text: whole numbers in digits, booleans as "true" and "false", "" for
        no value.

        Raises:
            InvalidData: naming the rows with anything else, as 1.0 or a list.
        """
        texts, wrong = [], []
        for value, place in zip(self.columns[column], self.places, strict=True):
            if value is None:
                texts.append("")
            elif isinstance(value, bool):
                texts.append(str(value).lower())
            elif isinstance(value, str | int):
                texts.append(str(value))
            else:
                shown = f" ({value})" if isinstance(value, float) else ""
                wrong.append(f"{place}: a {type(value).__name__}{shown}")
        if wrong:
            raise InvalidData(
                f"{self.path}: column {column} has values that are neither text nor whole numbers:"
                f" {enumerated(wrong)}"
            )
        return texts


def is_table(path: Path) -> bool:
    """Return whether a file is called like a table."""
    return path.suffix.lower() in SUFFIXES


def read_table(path: Path, choose: Choose) -> TableFile:
    """Return columns of a table.

    Args:
        path: a file with one of ``SUFFIXES``, in UTF-8 where it is text.
        choose: which columns.

    Raises:
        InvalidData: when it is no such table, has no rows, or ``choose`` refuses its columns.
        OSError: when the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == PARQUET:
        table = _read_parquet(path, choose)
    elif suffix in DELIMITERS or suffix in JSON_LINES:
        try:
            if suffix in DELIMITERS:
                table = _read_delimited(path, DELIMITERS[suffix], choose)
            else:
                table = _read_json_lines(path, choose)
        except UnicodeDecodeError as error:
            raise InvalidData(f"{path} is not UTF-8: {error.reason}", "save it in UTF-8") from None
    else:
        allowed = ", ".join(SUFFIXES)
        raise InvalidData(f"{path} is no table", f"a table is a file that ends with {allowed}")
    if not table.places:
        raise InvalidData(f"{path} has no rows")
    return table


def _read_delimited(path: Path, delimiter: str, choose: Choose) -> TableFile:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = _csv_rows(path, csv.reader(file, delimiter=delimiter, strict=True))
        _, head = next(rows, (1, []))
        _refuse_repeated(head, path)
        indices = {name: head.index(name) for name in choose(head)}
        columns: dict[str, list[Any]] = {name: [] for name in indices}
        places = []
        for line, row in rows:
            if len(row) != len(head):
                raise InvalidData(f"{path}:{line}: {len(row)} values, but {len(head)} columns")
            places.append(f"line {line}")
            for name, index in indices.items():
                columns[name].append(row[index])
    return TableFile(path, columns, places)


def _refuse_repeated(names: Sequence[str], path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidData(f"{path} has columns that are there twice: {enumerated(twice)}")


def _csv_rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line in which it begins."""
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidData(f"{path}:{line}: {error}") from None


def _read_json_lines(path: Path, choose: Choose) -> TableFile:
    rows, places = [], []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_json_object(path, number, line))
                places.append(f"line {number}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in (choose(names) if rows else ())}
    return TableFile(path, columns, places)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            raise ValueError("a name is there twice")
        return row

    try:
        row = json.loads(line, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{path}:{number}: no JSON: {error}") from None
    if not isinstance(row, dict):
        raise InvalidData(f"{path}:{number}: a {type(row).__name__} in place of an object {{…}}")
    return row


def _read_parquet(path: Path, choose: Choose) -> TableFile:
    if find_spec("pyarrow") is None:
        raise InvalidData(
            f"{path}: Parquet is read with pyarrow, which is not installed",
            'pip install "runner[parquet]", or save the table as CSV',
        )
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _refuse_repeated(file.schema_arrow.names, path)
            wanted = list(choose(file.schema_arrow.names))
            table = file.read(columns=wanted)
            columns = {name: table.column(name).to_pylist() for name in wanted}
    except (arrow.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file itself cannot be read
        said = str(error).partition("\n")[0]
        raise InvalidData(f"{path} is no Parquet file that can be read: {said}") from None
    return TableFile(path, columns, [f"row {number}" for number in range(1, table.num_rows + 1)])

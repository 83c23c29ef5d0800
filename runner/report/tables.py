"""Filled tables: rows of a declared table, as the database answers.

Owns the query's execution, the marks of best values and the differences from published ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.report.sql import STATUSES, compile_table
from runner.spec.tables import Column, Table
from runner.store.database import Database

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in a filled table.

    Attributes:
        value: the setting or label, or the mean over the done seeds, or None.
        std: sample standard deviation over seeds, or None with fewer than two.
        count: seeds in the mean; 0 for settings and labels.
        published: the value printed elsewhere, or None.
        is_best: marked as the best of its column.
    """

    value: Any
    std: float | None = None
    count: int = 0
    published: float | None = None
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its entries by column title, and how many of its runs ended how."""

    entries: dict[str, Entry]
    runs: int
    statuses: dict[str, int]

    def missing(self) -> str:
        """Return in words what keeps the row from being whole, or ""."""
        parts = [
            f"{count} {status}" if self.runs > 1 else status
            for status, count in self.statuses.items()
            if status != "done" and count
        ]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class FilledTable:
    """A table with its rows."""

    table: Table
    experiment: str
    variant: str
    rows: tuple[Row, ...]

    def has_published(self, column: Column) -> bool:
        """Return whether a published value stands in the column."""
        return any(row.entries[column.title].published is not None for row in self.rows)

    def has_seeds(self) -> bool:
        """Return whether any row has more than one run."""
        return any(row.runs > 1 for row in self.rows)


def fill_table(database: Database, table: Table, experiment: str, variant: str) -> FilledTable:
    """Return the table as recorded now."""
    with database.read() as connection:
        answers = connection.exec_driver_sql(compile_table(table, experiment, variant))
        rows = [_row(table, iter(tuple(answer)[1:])) for answer in answers]
    return FilledTable(table, experiment, variant, tuple(_marked(table.columns, rows)))


def _row(table: Table, values: Iterator[Any]) -> Row:
    """Return a row from what stands behind the position, by order: titles may be any text."""
    entries: dict[str, Entry] = {}
    for column in table.columns:
        if column.kind == "metric":
            entries[column.title] = Entry(next(values), next(values), next(values))
        else:
            entries[column.title] = Entry(next(values))
    runs, statuses = next(values), {status: next(values) for status in STATUSES}
    for title, number in json.loads(next(values) or "{}").items():
        if title in entries:
            entries[title] = replace(entries[title], published=number)
    return Row(entries, runs, statuses)


def _marked(columns: Sequence[Column], rows: Sequence[Row]) -> list[Row]:
    marked = [Row(dict(row.entries), row.runs, row.statuses) for row in rows]
    for column in columns:
        values = [value for row in rows if (value := row.entries[column.title].value) is not None]
        if column.mark is None or column.kind != "metric" or not values:
            continue
        best = min(values) if column.mark == "min" else max(values)
        for row in marked:
            entry = row.entries[column.title]
            if entry.value == best:
                row.entries[column.title] = replace(entry, is_best=True)
    return marked


def to_records(filled: FilledTable) -> list[dict[str, Any]]:
    """Return one plain mapping per row, with the same keys in each.

    Metrics have, behind their title, ``_std`` and ``_n`` where there are seeds, and ``_published``
    and ``_difference`` where there are published values.
    """
    records: list[dict[str, Any]] = []
    for row in filled.rows:
        record: dict[str, Any] = {}
        for column in filled.table.columns:
            entry = row.entries[column.title]
            record[column.title] = entry.value
            if column.kind != "metric":
                continue
            if filled.has_seeds():
                record[f"{column.title}_std"] = entry.std
                record[f"{column.title}_n"] = entry.count
            if filled.has_published(column):
                record[f"{column.title}_published"] = entry.published
                record[f"{column.title}_difference"] = difference(entry)
        record["status"] = row.missing() or "done"
        records.append(record)
    return records


def difference(entry: Entry) -> float | None:
    """Return measured minus published, or None where one is missing."""
    if entry.value is None or entry.published is None:
        return None
    return float(entry.value - entry.published)


def to_frame(filled: FilledTable) -> pd.DataFrame:
    """Return the table as a DataFrame; see :func:`to_records` for its columns."""
    import pandas as pd

    return pd.DataFrame(to_records(filled))

"""Filled tables: the rows of a declared table, and the same as records.

Owns what a filled table holds, and the differences from published values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.spec.tables import Column, Table

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
        runs: seeds of the cell; 0 for settings and labels, and where there is no cell.
        missing: in words what keeps the cell from being whole, or "".
    """

    value: Any
    std: float | None = None
    count: int = 0
    published: float | None = None
    is_best: bool = False
    runs: int = 0
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        entries: by column title.
        runs: seeds, over all cells of the row.
        statuses: how many of the runs ended how.
        position: that of its (first) cell in the spec.
        run_key: of one of the cell's runs, or of its settings where no run is known; cells of equal
            runs have the same.
    """

    entries: dict[str, Entry]
    runs: int
    statuses: dict[str, int]
    position: int
    run_key: str

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
    """A table with its rows.

    Attributes:
        is_compared: whether published values were measured alike, so that differences say anything.
    """

    table: Table
    experiment: str
    variant: str
    rows: tuple[Row, ...]
    is_compared: bool = True

    def has_published(self, column: Column) -> bool:
        """Return whether a published value stands in the column."""
        return any(row.entries[column.title].published is not None for row in self.rows)

    def beside(self, column: Column) -> tuple[str, ...]:
        """Return what stands beside the column's values: published ones and differences."""
        if not self.has_published(column):
            return ()
        return ("published", "difference") if self.is_compared else ("published",)

    def has_seeds(self) -> bool:
        """Return whether any cell has more than one run."""
        return self.most_seeds() > 1

    def most_seeds(self) -> int:
        """Return the most runs that one cell has."""
        return max((each.runs for row in self.rows for each in row.entries.values()), default=0)


def to_records(filled: FilledTable) -> list[dict[str, Any]]:
    """Return one plain mapping per row, with the same keys in each.

    Metrics have, behind their title, ``_std`` and ``_n`` where there are seeds, and ``_published``
    and ``_difference`` where there are published values.
    """
    has_seeds = filled.has_seeds()
    beside = {column.title: filled.beside(column) for column in filled.table.columns}
    records: list[dict[str, Any]] = []
    for row in filled.rows:
        record: dict[str, Any] = {}
        for column in filled.table.columns:
            entry = row.entries[column.title]
            record[column.title] = entry.value
            if column.kind != "metric":
                continue
            if has_seeds:
                record[f"{column.title}_std"] = entry.std
                record[f"{column.title}_n"] = entry.count
            values = {"published": entry.published, "difference": difference(entry)}
            for name in beside[column.title]:
                record[f"{column.title}_{name}"] = values[name]
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

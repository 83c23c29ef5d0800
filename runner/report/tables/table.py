"""Filled tables: the rows of a declared table, and the same as records.

Owns what a filled table holds, the differences from published values, and whether these hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runner.core.run import Published
from runner.spec.tables.column import Column
from runner.spec.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["yes", "no", "not yet"]
ROUNDING = 1e-12
"""Share by which a sum of floats may miss the decimal number: 0.52 - 0.49 is more than 0.03."""


@dataclass(frozen=True, slots=True)
class TableValue:
    """One value of a filled table.

    Attributes:
        value: the setting or label, or the mean over the done runs, or None.
        std: sample standard deviation over the runs, or None with fewer than two.
        count: runs in the mean; 0 for settings and labels.
        published: the value printed elsewhere, or None.
        holds: whether the value is within the tolerance of the published one, or None without a
            tolerance; not yet while a run is unfinished or failed.
        is_best: marked as the best of its column.
        runs: seeds of the cell, of each of its folds; 0 for settings and labels, and where there
            is no cell.
        folds: how many folds the cell has; 0 without.
        missing: in words what keeps the cell from being whole, or "".
        position: of the cell that it is of, None where there is no cell.
    """

    value: Any
    std: float | None = None
    count: int = 0
    published: Published | None = None
    holds: Verdict | None = None
    is_best: bool = False
    runs: int = 0
    folds: int = 0
    missing: str = ""
    position: int | None = None

    def over(self) -> str:
        """Return in words over what its mean would be, all runs being there."""
        if not self.folds:
            return f"{self.runs} seeds"
        seeds = self.runs // self.folds
        return f"{self.folds} folds" + (f" of {seeds} seeds" if seeds > 1 else "")


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        entries: by column title.
        runs: seeds, and of each fold, over all cells of the row.
        statuses: how many of the runs ended how.
        position: that of its (first) cell in the spec.
        run_key: of one of the cell's runs, or of its settings where no run is known; cells of equal
            runs have the same.
        folds: of the cell; 0 without.
    """

    entries: dict[str, TableValue]
    runs: int
    statuses: dict[str, int]
    position: int
    run_key: str
    folds: int = 0

    def missing(self) -> str:
        """Return which runs the row lacks, in words, or ""."""
        parts = [
            f"{count} {status}" if self.runs > 1 else status
            for status, count in self.statuses.items()
            if status != "done" and count
        ]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class TableData:
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
        """Return whether any row has a published value in the column."""
        return any(row.entries[column.title].published is not None for row in self.rows)

    def beside(self, column: Column) -> tuple[str, ...]:
        """Return the extra columns beside a metric: published values and differences.

        With a tolerance, also the tolerance and whether the value is within it.
        """
        if not self.has_published(column):
            return ()
        if not self.is_compared:
            return ("published",)
        if any(row.entries[column.title].holds is not None for row in self.rows):
            return ("published", "within", "difference", "holds")
        return ("published", "difference")

    def has_seeds(self) -> bool:
        """Return whether any cell has more than one run."""
        return self.most_runs().runs > 1

    def has_spread(self) -> bool:
        """Return whether any value is a mean of several, over seeds or repetitions."""
        return any(each.std is not None for row in self.rows for each in row.entries.values())

    def most_runs(self) -> TableValue:
        """Return the value of the cell that has the most runs."""
        values = (each for row in self.rows for each in row.entries.values())
        return max(values, key=lambda each: each.runs, default=TableValue(None))


def to_records(filled: TableData) -> list[dict[str, Any]]:
    """Return one plain mapping per row, with the same keys in each.

    Metrics have, behind their title, ``_std`` and ``_n`` where there are seeds, ``_published`` and
    ``_difference`` where there are published values, and ``_within`` and ``_holds`` where one of
    these has a tolerance.
    """
    has_seeds = filled.has_seeds() or filled.has_spread()
    beside = {column.title: filled.beside(column) for column in filled.table.columns}
    records: list[dict[str, Any]] = []
    for row in filled.rows:
        record: dict[str, Any] = {}
        for column in filled.table.columns:
            entry = row.entries[column.title]
            record[column.title] = entry.value
            if not column.is_metric:
                continue
            if has_seeds:
                record[f"{column.title}_std"] = entry.std
                record[f"{column.title}_n"] = entry.count
            published = entry.published
            values = {
                "published": None if published is None else published.value,
                "within": None if published is None else published.within,
                "difference": difference(entry),
                "holds": entry.holds,
            }
            for name in beside[column.title]:
                record[f"{column.title}_{name}"] = values[name]
        record["status"] = row.missing() or "done"
        records.append(record)
    return records


def difference(entry: TableValue) -> float | None:
    """Return measured minus published, or None where one is missing."""
    if entry.value is None or entry.published is None:
        return None
    return float(entry.value - entry.published.value)


def verdict(entry: TableValue, statuses: Mapping[str, int]) -> Verdict | None:
    """Return whether a mean holds against its published value, None where no tolerance is given.

    Args:
        entry: of one cell.
        statuses: how many of the cell's runs ended how. Runs that can still be done keep it open;
            one that diverged, or has no such number, is no part of the mean, which says too little.
    """
    published = entry.published
    if published is None or published.within is None:
        return None
    if statuses["unfinished"] or statuses["failed"]:
        return "not yet"
    if entry.value is None or entry.count < entry.runs:
        return "no"
    allowed = published.within + ROUNDING * (abs(published.value) + published.within)
    return "yes" if abs(entry.value - published.value) <= allowed else "no"


def to_frame(filled: TableData) -> pd.DataFrame:
    """Return the table as a DataFrame; see :func:`to_records` for its columns."""
    import pandas as pd

    return pd.DataFrame(to_records(filled))

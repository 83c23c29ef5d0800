"""Declared tables as a page shows them: the texts that `report` prints, and what is running.

A value that is not there yet has the epoch and the value so far of the runs that train for it. When
some runs have ended, only the rows of their cells are queried again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.core.errors import UsageError
from runner.report.tables.declared import TableRef
from runner.report.tables.query import marked, query_table
from runner.report.tables.render import entry_texts, is_right, notes
from runner.report.tables.table import Row, TableData
from runner.spec.tables.column import Column
from runner.store.database import Database

Item = tuple[str, dict[str, Any]]
Running = Mapping[int, Sequence[Mapping[str, Any]]]
"""What runs without a result have read so far, by position."""

SO_FAR = {"best": "at_best", "last": "at_last", "min": "least", "max": "most"}
"""Where values of a run that trains stand, by what a column shows."""


class WatchedTable:
    """One declared table; remembers its rows between readings."""

    def __init__(self, ref: TableRef, runs_at: Mapping[int, Collection[str]]) -> None:
        """Take the table.

        Args:
            ref: the table.
            runs_at: keys of the runs at each position.
        """
        self.name = ref.table.name
        self._ref, self._runs_at = ref, runs_at
        self._filled: TableData | None = None
        self._kept: dict[int, tuple[object, dict[str, Any]]] = {}

    def items(
        self, database: Database, running: Running, changed: Collection[int]
    ) -> Iterator[Item]:
        """Yield the table and its rows as JSON values, each with its id.

        Args:
            database: where the results are. They are not held against their checksums here.
            running: what runs have read so far.
            changed: positions whose results may be others than in the reading before.
        """
        try:
            filled = self._filled = self._read(database, changed)
        except UsageError as error:  # the cells cannot be pivoted
            problem = {"name": self.name, "about": self._ref.about, "problem": str(error)}
            yield f"table:{self.name}", problem
            return
        yield f"table:{self.name}", _head(filled, self._ref)
        beside = [filled.beside(column) for column in filled.table.columns]
        for number, row in enumerate(filled.rows):
            yield f"row:{self.name}:{number}", self._row(number, row, filled, beside, running)

    def _row(
        self,
        number: int,
        row: Row,
        filled: TableData,
        beside: Sequence[Sequence[str]],
        running: Running,
    ) -> dict[str, Any]:
        """Return the JSON values of a row; where nothing of it changed, the same as before."""
        is_still = not any(entry.position in running for entry in row.entries.values())
        kept = self._kept.get(number)
        if is_still and kept is not None and kept[0] == (row, beside):
            return kept[1]
        item = {"values": _values(filled.table.columns, beside, row, running)}
        if is_still:
            self._kept[number] = (row, beside), item
        else:
            self._kept.pop(number, None)
        return item

    def _read(self, database: Database, changed: Collection[int]) -> TableData:
        ref, known = self._ref, self._filled
        table = ref.table
        if known is None:
            return self._query(database, None)
        if not changed:
            return known
        if table.order or table.pivot or table.melt:
            return self._query(database, None)
        made = self._query(database, {key for at in changed for key in self._runs_at.get(at, ())})
        others = {row.position: row for row in made.rows}
        rows = [others.get(row.position, row) for row in known.rows]
        return replace(known, rows=tuple(marked(table.columns, rows)))

    def _query(self, database: Database, runs: Collection[str] | None) -> TableData:
        ref = self._ref
        return query_table(database, ref.table, ref.experiment, ref.variant, runs=runs, check=False)


def _head(filled: TableData, ref: TableRef) -> dict[str, Any]:
    return {
        "name": filled.table.name,
        "about": ref.about,
        "columns": [
            {
                "title": column.title,
                "beside": list(filled.beside(column)),
                "right": is_right(filled, column),
                "metric": column.is_metric,
            }
            for column in filled.table.columns
        ],
        "rows": len(filled.rows),
        "notes": notes(filled, "bold: best"),
    }


def _values(
    columns: Sequence[Column], beside: Sequence[Sequence[str]], row: Row, running: Running
) -> list[dict[str, Any]]:
    values = []
    for column, extra in zip(columns, beside, strict=True):
        entry = row.entries[column.title]
        value: dict[str, Any] = {
            "texts": entry_texts(entry, column, extra),
            "value": entry.value,
        }
        if column.is_metric:
            value |= {
                "position": entry.position,
                "done": entry.count,
                "runs": entry.runs,
                "best": entry.is_best,
            }
            at_work = () if entry.position is None else running.get(entry.position, ())
            if at_work:
                value["running"] = _so_far(column, at_work)
        values.append(value)
    return values


def _so_far(column: Column, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the least epoch of the runs at work, and their mean value where it is known of all."""
    values = [_value_so_far(column, run) for run in runs]
    known = [value for value in values if value is not None]
    digits = 3 if column.digits is None else column.digits
    return {
        "epoch": min(run["last_epoch"] for run in runs),
        "of": max(run["budget"] for run in runs),
        "text": f"{sum(known) / len(known):.{digits}f}" if len(known) == len(runs) else "",
    }


def _value_so_far(column: Column, run: Mapping[str, Any]) -> float | None:
    """Return a metric of a run that trains, where its own rule can say it already."""
    if column.analysis is not None or column.formula is None:
        return None
    if isinstance(column.at, int):
        values = run["by_epoch"].get(column.at, {})
    else:
        values = run[
            {"best": "at_best", "last": "at_last", "min": "least", "max": "most"}[column.at]
        ]
    found = values.get(column.source)
    return None if found is None else float(found)

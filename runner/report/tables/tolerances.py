"""Comparison of published values that have a tolerance with measured ones.

Selects these values of a filled table and words a line for each. Whether one holds is decided with
its entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.core.run import Published
from runner.report.tables.table import Row, TableData, TableValue
from runner.spec.tables.pivot_checks import titled_values


@dataclass(frozen=True, slots=True)
class ToleranceCheck:
    """A published value with a tolerance, and what was measured.

    Attributes:
        table: name of the table.
        cell: as ``experiment:position``.
        row: settings and labels of its row, in words.
        column: title.
        published: the value and its tolerance.
        entry: what was measured, over the cell's seeds and folds.
    """

    table: str
    cell: str
    row: str
    column: str
    published: Published
    entry: TableValue

    def __str__(self) -> str:
        """Return measured value, published value and tolerance in one line."""
        verdict = {"yes": "holds", "no": "does not hold"}.get(str(self.entry.holds), "not yet")
        return (
            f"table {self.table}, {self.cell} {self.row}, {self.column}: {_measured(self.entry)},"
            f" published {self.published.value:.12g} within {self.published.within:.12g}: {verdict}"
        )


def tolerance_checks(filled: TableData) -> list[ToleranceCheck]:
    """Return the values with a tolerance of a table without a pivot, whose rows are cells."""
    assert filled.table.pivot is None
    return [
        ToleranceCheck(
            table=filled.table.name,
            cell=f"{filled.experiment}:{row.position}",
            row=_row_words(filled, row),
            column=column.title,
            published=entry.published,
            entry=entry,
        )
        for row in filled.rows
        for column in filled.table.columns
        if (entry := row.entries[column.title]).holds is not None and entry.published is not None
    ]


def _row_words(filled: TableData, row: Row) -> str:
    columns = [column for column in filled.table.columns if not column.is_metric]
    return titled_values(columns, [row.entries[column.title].value for column in columns])


def _measured(entry: TableValue) -> str:
    if entry.value is None:
        return f"measured nothing ({entry.missing or 'there is no such number'})"
    text = f"measured {entry.value:.6g}"
    if entry.std is not None:
        text += f" ± {entry.std:.3g}"
    if entry.count < entry.runs:
        of = f"{entry.count} of {entry.runs} {'runs' if entry.folds else 'seeds'}"
        return f"{text} ({of}; {entry.missing or 'no more have it'})"
    return f"{text} over {entry.over()}" if entry.runs > 1 else text

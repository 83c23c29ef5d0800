"""Filled tables as text: aligned, Markdown, LaTeX, HTML, CSV, JSON.

To add a format: a function here, and a line in FORMATS. Owns how numbers look.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.core.errors import UsageError, nearest
from runner.core.text import printable
from runner.report.tables.table import TableData, TableValue, difference, to_records
from runner.spec.tables.column import Column
from runner.spec.tables.pivot import show_value

DEFAULT_DIGITS = 3
BREAKING = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON may hold as it is, and a terminal or UTF-8 may not."""

FORMULA = re.compile("'*[=+@-]")
NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?")
"""Text that a spreadsheet would calculate, unless it is a number."""

COUNTS = {"best_epoch", "last_epoch", "parameters"}


def render(filled: TableData, form: str = "text") -> str:
    """Return the table in a format, with one line feed at the end.

    Raises:
        UsageError: for an unknown format.
    """
    if form not in FORMATS:
        raise UsageError(
            f"unknown format '{form}'",
            allowed=", ".join(FORMATS),
            suggestion=nearest(form, list(FORMATS)),
        )
    return FORMATS[form](filled)


def _text(filled: TableData) -> str:
    header, rows = _grid(filled, printable, "{} *", "{}  ")
    right = [is_right(filled, column) for column in printed_columns(filled)]
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    lines = [_aligned(row, widths, right) for row in [header, ["-" * w for w in widths], *rows]]
    return "\n".join([_title(filled), *lines, *_below(notes(filled, "* best"))]) + "\n"


def _markdown(filled: TableData) -> str:
    from runner.report.tables.markup import markdown_text

    header, rows = _grid(filled, markdown_text, "**{}**", "{}")
    right = [is_right(filled, column) for column in printed_columns(filled)]
    rule = ["---:" if is_right else "---" for is_right in right]
    lines = ["| " + " | ".join(row) + " |" for row in [header, rule, *rows]]
    said = "; ".join(notes(filled, "bold: best"))
    return "\n".join([*lines, "", said] if said else lines) + "\n"


def _latex(filled: TableData) -> str:
    from runner.report.tables.markup import latex_table, latex_text

    header, rows = _grid(filled, latex_text, r"\textbf{{{}}}", "{}")
    right = [is_right(filled, column) for column in printed_columns(filled)]
    return latex_table(header, rows, right, notes(filled, "bold: best"))


def _html(filled: TableData) -> str:
    from runner.report.tables.markup import html_table, html_text

    header, rows = _grid(filled, html_text, "<strong>{}</strong>", "{}")
    right = [is_right(filled, column) for column in printed_columns(filled)]
    return html_table(_title(filled), header, rows, right, notes(filled, "bold: best"))


def _csv(filled: TableData) -> str:
    return csv_text(to_records(filled))


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Return mappings with the same keys as CSV with a header; nothing of none."""
    if not records:
        return ""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(csv_field, records[0]))
    writer.writerows(map(csv_field, record.values()) for record in records)
    return buffer.getvalue()


def even_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows that all have the same keys, in the order in which they come up; None is new."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in keys} for row in rows]


def csv_field(value: Any) -> Any:
    """Return a CSV field: one line, escaped so that no spreadsheet reads it as a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _json(filled: TableData) -> str:
    content = {
        "table": filled.table.name,
        "experiment": filled.experiment,
        "variant": filled.variant,
        "rows": to_records(filled),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return BREAKING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


FORMATS: dict[str, Callable[[TableData], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "html": _html,
    "csv": _csv,
    "json": _json,
}


def _title(filled: TableData) -> str:
    variant = f" (variant: {filled.variant})" if filled.variant else ""
    return printable(f"{filled.table.name}{variant}")


def _below(notes: list[str]) -> list[str]:
    return ["", *notes] if notes else []


def notes(filled: TableData, best: str) -> list[str]:
    """Return what a reader must know of the values: which are marked, and over what means are.

    Args:
        filled: the table.
        best: how the best value of a column is marked, as "bold: best".
    """
    found = []
    if any(_has_best(filled, column) for column in filled.table.columns):
        found.append(f"{best} of its column")
    if any(entry.std is not None for row in filled.rows for entry in row.entries.values()):
        found.append(f"mean ± sample standard deviation over {_over(filled)}")
    return found


def _over(filled: TableData) -> str:
    """Return over what means are: seeds, folds, and the repetitions of analyses."""
    seeds = filled.most_runs().over() if filled.has_seeds() else ""
    sources = (column.analysis for column in filled.table.columns)
    repeated = dict.fromkeys(f"{dim}s" for each in sources if each for dim in each.repeated)
    if not repeated:
        return seeds
    return f"{seeds}, and of analyses {' and '.join(repeated)}" if seeds else " and ".join(repeated)


def _has_best(filled: TableData, column: Column) -> bool:
    return any(row.entries[column.title].is_best for row in filled.rows)


def printed_columns(filled: TableData) -> list[Column]:
    """Return the declared column of each printed one, published values and differences included."""
    columns: list[Column] = []
    for column in filled.table.columns:
        columns += [column] * (1 + len(filled.beside(column)))
    return columns


def _grid(
    filled: TableData, escape: Callable[[str], str], best: str, other: str
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of escaped text.

    ``best`` and ``other`` format the columns in which one value is marked.
    """
    header: list[str] = []
    rows: list[list[str]] = [[] for _ in filled.rows]
    for column in filled.table.columns:
        beside = filled.beside(column)
        header += [escape(column.title), *beside]
        frame = other if _has_best(filled, column) else "{}"
        for cells, row in zip(rows, filled.rows, strict=True):
            entry = row.entries[column.title]
            own, *others = map(escape, entry_texts(entry, column, beside))
            cells += [(best if entry.is_best else frame).format(own), *others]
    return header, rows


def entry_texts(entry: TableValue, column: Column, beside: Sequence[str]) -> list[str]:
    """Return an entry as text, with its published value and difference, not escaped."""
    if not column.is_metric:
        return [show_value(entry.value)]
    gap, published = difference(entry), entry.published
    within = None if published is None else published.within
    shown = {
        "published": "" if published is None else f"{published.value:.12g}",
        "within": "" if within is None else f"{within:.12g}",
        "difference": "" if gap is None else _number(gap, column, "+"),
        "holds": entry.holds or "",
    }
    return [_metric_text(entry, column), *(shown[name] for name in beside)]


def _metric_text(entry: TableValue, column: Column) -> str:
    if entry.value is None:
        return entry.missing or show_value(None)
    text = _number(entry.value, column)
    if entry.std is not None:
        text += f" ± {entry.std:.{_digits(column)}f}"
    if entry.count < entry.runs:
        text += f" ({entry.count} of {entry.runs}; {entry.missing or 'the others have none'})"
    return text


def _number(value: float, column: Column, sign: str = "") -> str:
    is_count = column.digits is None and column.source in COUNTS
    digits = 0 if is_count and float(value).is_integer() else _digits(column)
    return f"{value:{sign}.{digits}f}"


def _digits(column: Column) -> int:
    if column.digits is not None:
        return column.digits
    return 1 if column.source in COUNTS else DEFAULT_DIGITS


def is_right(filled: TableData, column: Column) -> bool:
    """Return whether the column is right-aligned: it holds numbers."""
    values = [row.entries[column.title].value for row in filled.rows]
    return column.is_metric or not any(isinstance(value, str) for value in values)


def _aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(row, widths, right, strict=True)
    ]
    return "  ".join(cells).rstrip()

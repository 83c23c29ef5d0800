"""What commands print of rows, and which files they name beside it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from runner.core.text import printable


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, under the names of the first."""
    from runner.report.tables.render import csv_field

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows(map(csv_field, row.values()) for row in rows)
    return buffer.getvalue()


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return lines of columns; the first ``left`` of them begin below each other, others end so."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def answer(
    form: str, lines: Sequence[str], records: Sequence[Mapping[str, Any]], paths: Sequence[Path]
) -> None:
    """Print what was found, and which files were written: on standard error beside CSV and JSON."""
    if form == "json":
        typer.echo(json.dumps(list(records), indent=2))
    elif form == "csv":
        typer.echo(csv_text(records), nl=False)
    else:
        typer.echo("\n".join(map(printable, lines)))
    for path in paths:
        typer.echo(printable(str(path)), err=form != "text")

"""The command `diff`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.options import Db, Reference, check_format, chosen_database
from runner.core.text import printable

if TYPE_CHECKING:
    from runner.api.comparing import Difference

EXAMPLES = """\b
Examples:
  runner diff quickstart:0:0 quickstart:2:0
  runner diff quickstart:0:0 quickstart:0:0@epochs=2
  runner diff 3f9a 81c0 --format json"""
HELP = "A run key's beginning, or a cell as `list` prints it."


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help=HELP)],
    second: Annotated[str, typer.Argument(metavar="B", help=HELP)],
    form: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How it is printed.")
    ] = "text",
    db: Db = None,
    reference: Reference = False,
) -> None:
    """Compare two runs: what differs in settings and environment, and all metrics.

    Metrics are those of each run's best epoch; the last column is B minus A.
    """
    check_format(form, ("text", "json"))
    from runner import api

    comparison = api.diff(first, second, chosen_database(db, reference))
    if form == "json":
        typer.echo(json.dumps([asdict(each) for each in comparison.differences], indent=2))
        return
    rows = [("", "", first, second, ""), *(_row(each) for each in comparison.differences)]
    widths = [max(len(row[index]) for row in rows) for index in range(5)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
    if comparison.only_metrics():
        typer.echo("nothing differs in settings, data, result or environment", err=True)


def _row(difference: Difference) -> tuple[str, str, str, str, str]:
    gap = difference.gap()
    values = _value(difference.first), _value(difference.second)
    return difference.part, difference.name, *values, "" if gap is None else f"{gap:+.4f}"


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))

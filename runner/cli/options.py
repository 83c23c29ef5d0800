"""Options that several commands share, with one wording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runner.core.errors import UsageError

Specs = Annotated[list[Path], typer.Argument(help="Spec files.", metavar="SPEC")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LABEL|SETTING=VALUE",
        help="Only cells with this label or setting; may be repeated.",
    ),
]
Profile = Annotated[
    str | None, typer.Option(metavar="NAME", help="Use a profile of the specs, as a variant.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SETTING=VALUE", help="Set in every cell, as a variant; may be repeated."
    ),
]
Db = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL", envvar="RUNNER_DB", help="The database.", show_default="results.db"
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", envvar="RUNNER_DATA", help="Where data sets are looked for first."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE", help="cpu, cuda or cuda:1.", show_default="the GPU when there is one"
    ),
]


def check_format(form: str, allowed: Sequence[str]) -> None:
    """Refuse a ``--format`` that a command does not have.

    Raises:
        UsageError: with those that it has.
    """
    if form not in allowed:
        raise UsageError(f"unknown format '{form}'\n    allowed: {', '.join(allowed)}")

"""Options that several commands share, with one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Specs = Annotated[list[Path], typer.Argument(help="Spec files.", metavar="SPEC...")]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Only cells with this label, or setting=value; may be repeated."),
]
Profile = Annotated[str | None, typer.Option(help="A profile of the specs, as a variant.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SETTING=VALUE", help="Set in every cell, as a variant."),
]
Db = Annotated[
    str | None,
    typer.Option(envvar="RUNNER_DB", help="Database file or URL.", show_default="results.db"),
]
Data = Annotated[
    Path | None,
    typer.Option(envvar="RUNNER_DATA", help="Folder in which data sets are looked for."),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda or cuda:1.", show_default="the GPU when there is one"),
]

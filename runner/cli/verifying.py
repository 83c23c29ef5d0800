"""The command `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.options import Data, Db, Device, Sets
from runner.cli.words import counted

if TYPE_CHECKING:
    from runner.api.verifying import Verified

EXAMPLES = """\b
Examples:
  runner verify experiments/quickstart.yaml
  runner verify spec.yaml --sample 2 --set epochs=3"""


def verify(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.")],
    sample: Annotated[
        int, typer.Option(min=1, metavar="RUNS", help="How many runs; those that share most.")
    ] = 4,
    sets: Sets = None,
    device: Device = None,
    db: Db = None,
    data: Data = None,
) -> None:
    """Prove that sharing changes nothing: run a sample both ways and compare.

    Each side has a fresh temporary database and cache; the outcome is recorded in the database.
    """
    from runner.api.verifying import verify as verify_spec

    found = verify_spec(
        spec, sample, sets or (), db, data, device, lambda text: typer.echo(text, err=True)
    )
    for each in found:
        typer.echo(_line(each))
    if any(each.difference for each in found):
        raise typer.Exit(1)


def _line(each: Verified) -> str:
    how = "equal, byte for byte" if each.exact else f"alike; largest difference {each.largest:.1g}"
    verdict = f"DIFFERENT: {each.difference}" if each.difference else how
    return f"{each.name} ({each.run[:12]}, {counted(each.shared, 'shared stage')}): {verdict}"

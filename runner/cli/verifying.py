"""The command `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Data, Db, Device, Only, Sets

if TYPE_CHECKING:
    from runner.api.verifying import Verified

EXAMPLES = """\b
Examples:
  runner verify experiments/quickstart.yaml
  runner verify spec.yaml --sample 2 --set epochs=3"""


def verify(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.")],
    sample: Annotated[
        int,
        typer.Option(min=1, metavar="RUNS", help="How many runs; families that share most."),
    ] = 4,
    only: Only = None,
    sets: Sets = None,
    device: Device = None,
    db: Db = None,
    data: Data = None,
) -> None:
    """Prove that sharing changes nothing: run a sample both ways and compare.

    Each side has a fresh temporary database and cache; the outcome is recorded in the database.
    """
    from runner.api.verifying import verify as verify_spec
    from runner.cli.interrupt import StopRequest
    from runner.core.errors import Interrupted

    try:
        with StopRequest() as stop:
            found = verify_spec(spec, sample, sets or (), db, data, device, _tell, stop, only or ())
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; nothing of a verification is kept") from None
    for each in found:
        typer.echo(_line(each))
    if not any(each.shared for each in found):
        _tell("nothing was shared in this sample: it says nothing of sharing")
    if any(each.difference for each in found):
        raise typer.Exit(1)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _line(each: Verified) -> str:
    how = "equal, byte for byte" if each.exact else f"alike; largest difference {each.largest:.1g}"
    verdict = f"DIFFERENT: {each.difference}" if each.difference else how
    shared = pluralize(each.shared, "shared stage") if each.shared else "nothing shared"
    return f"{each.name} ({each.run[:12]}, {shared}): {verdict}"

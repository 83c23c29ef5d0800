"""The command `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Data, Db, Device, Only, Profile, Sets, Threads

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
    profile: Profile = None,
    sets: Sets = None,
    device: Device = None,
    threads: Threads = None,
    db: Db = None,
    data: Data = None,
) -> None:
    """Prove that sharing changes nothing: run a sample both ways and compare.

    Each side has a fresh temporary database and cache; the outcome is recorded in the database.
    """
    from runner import api
    from runner.cli.interrupt import StopRequest
    from runner.core.errors import Interrupted

    try:
        with StopRequest() as stop:
            verification = api.verify(
                spec,
                sample,
                on_step=_tell,
                should_stop=stop,
                only=only or (),
                profile=profile,
                sets=sets or (),
                device=device,
                threads=threads,
                db=db,
                data=data,
            )
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; nothing of a verification is kept") from None
    for run in verification.runs:
        typer.echo(_line(run))
    if not verification.num_shared:
        _tell("nothing was shared in this sample: it says nothing of sharing")
    if not verification.is_same:
        raise typer.Exit(1)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _line(run: Verified) -> str:
    how = "equal, byte for byte" if run.exact else f"alike; largest difference {run.largest:.1g}"
    verdict = f"DIFFERENT: {run.difference}" if run.difference else how
    shared = pluralize(run.shared, "shared stage") if run.shared else "nothing shared"
    return f"{run.name} ({run.run[:12]}, {shared}): {verdict}"

"""The commands `cache list` and `cache clear`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Db
from runner.components.download import show_bytes

if TYPE_CHECKING:
    from runner.artifacts.contents import Contents

app = typer.Typer(help="Look at and clear what .runner/ keeps.", no_args_is_help=True)
LIST_EXAMPLES = """\b
Examples:
  runner cache list
  runner cache list --artifacts s3://bucket/runner"""
CLEAR_EXAMPLES = """\b
Examples:
  runner cache clear states features   (trainings begin anew)
  runner cache clear                   (everything, weights too; results stay)
  runner cache clear states --artifacts s3://bucket/runner"""

SharedAt = Annotated[
    str | None,
    typer.Option(
        "--artifacts",
        metavar="FOLDER|URL",
        help="Where artifacts are shared with other machines, in place of .runner/.",
    ),
]


@app.command("list", epilog=LIST_EXAMPLES)
def list_command(db: Db = None, artifacts: SharedAt = None) -> None:
    """List what .runner/ keeps, by kind, with its size."""
    from runner import api

    _print(api.list_cache(db, artifacts).kinds)


@app.command("clear", epilog=CLEAR_EXAMPLES)
def clear(
    kinds: Annotated[
        list[str] | None, typer.Argument(metavar="[KIND]…", help="As `cache list` names them.")
    ] = None,
    db: Db = None,
    artifacts: SharedAt = None,
) -> None:
    """Remove what .runner/ keeps; what a later run needs is computed again.

    Without a KIND that is everything, the weights of finished runs too, which only --rerun trains
    again: results stay. States, checkpoints and weights of other databases beside the same .runner/
    stay.
    """
    from runner import api

    removed = api.clear_cache(kinds or (), db, artifacts)
    if removed.kinds:
        _print(removed.kinds)
        typer.echo("removed", err=True)
    else:
        typer.echo("nothing to remove", err=True)


def _print(kept: Sequence[Contents]) -> None:
    width = max(len(each.kind) for each in kept)
    for each in kept:
        files = pluralize(each.count, "file").rjust(12)
        size = show_bytes(each.num_bytes).rjust(9)
        typer.echo(f"{each.kind.ljust(width)}  {files}  {size}  {each.about}")
    if len(kept) > 1:
        files = pluralize(sum(each.count for each in kept), "file").rjust(12)
        size = show_bytes(sum(each.num_bytes for each in kept)).rjust(9)
        typer.echo(f"{'all'.ljust(width)}  {files}  {size}")

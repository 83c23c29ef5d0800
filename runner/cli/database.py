"""The commands `db dump`, `db check`, `db info` and `db merge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Db, Reference, chosen_database

if TYPE_CHECKING:
    from runner.api.merging import MergeSummary
    from runner.store.checking import Checked

app = typer.Typer(help="Look at the database as a whole.", no_args_is_help=True)
DUMP_EXAMPLES = """\b
Examples:
  runner db dump > results.sql
Whether two databases have the same results:
  runner db dump --canonical --db a.db > a.jsonl
  runner db dump --canonical --db b.db | diff a.jsonl -"""
CHECK_EXAMPLES = """\b
Examples:
  runner db check
  runner db check --db results.db && runner report --table quickstart"""
MERGE_EXAMPLES = """\b
Examples:
  runner db merge other.db
  runner db merge results.db --db postgresql://user@host/runs
  runner db merge postgresql://user@host/runs --db copy.db"""
GO_ON = "the same command goes on; what was copied is there to stay"
INFO_EXAMPLES = """\b
Example:
  runner db info --db results.db"""


@app.command("dump", epilog=DUMP_EXAMPLES)
def dump(
    canonical: Annotated[
        bool,
        typer.Option(
            "--canonical", help="Ordered, without times, ids, attempts, devices: for comparing."
        ),
    ] = False,
    db: Db = None,
) -> None:
    """Print the database: as SQL, or --canonical as JSON lines."""
    from runner import api

    for line in api.dump_database(db, canonical):
        typer.echo(line)


@app.command("check", epilog=CHECK_EXAMPLES)
def check(db: Db = None, reference: Reference = False) -> None:
    """Verify the checksums of everything in the database.

    Checks the structure of the file too. Exit code 2 when something is damaged.
    """
    from runner import api
    from runner.store.failures import MENDING

    check = api.check_database(
        chosen_database(db, reference), lambda checked: typer.echo(_line(checked))
    )
    if check.num_problems:
        typer.echo(MENDING, err=True)
        raise typer.Exit(2)


@app.command("merge", epilog=MERGE_EXAMPLES)
def merge(
    source: Annotated[str, typer.Argument(help="The other database.", metavar="FILE|URL")],
    db: Db = None,
) -> None:
    """Copy the results and experiments of another database that this one lacks.

    Also earlier versions of experiments, and what `verify` recorded. Copied results count as done;
    their weights stay where they are. What this one has stays as it is. Runs without a result are
    not asked for here: `runner run SPEC` does that. Workers may be at work on both. After Ctrl-C,
    the same command goes on.
    """
    from runner import api
    from runner.cli.shown_files import FilesProgress

    with FilesProgress("merge", what="results", hint=GO_ON) as progress:
        merged = api.merge_databases(
            source, db, progress.moved, lambda note: progress.say(f"note: {note}")
        )
    typer.echo(f"{merged.target}: {_copied(merged)} copied from {merged.source}")
    for name, variant in merged.kept:
        shown = f"{name} [{variant}]" if variant else name
        typer.echo(f"note: it has another version of {shown}, which stays", err=True)


def _copied(merged: MergeSummary) -> str:
    """Return how much of what was copied; of what few databases have, only where there is any."""
    parts = [f"{pluralize(len(merged.results), 'result')} of {merged.num_results}"]
    parts.append(pluralize(len(merged.added), "experiment"))
    rare = {"earlier version": merged.num_versions, "verification": merged.num_verifications}
    parts += [pluralize(number, noun) for noun, number in rare.items() if number]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _line(checked: Checked) -> str:
    """Return a line with the result for one kind of record; damage is listed below it."""
    parts = [f"{checked.count} checked"] if checked.count else []
    parts += [f"{checked.unchecked} without a checksum, not checked"] if checked.unchecked else []
    parts += [f"{len(checked.problems)} DAMAGED"] if checked.problems else []
    head = f"{checked.kind:<14}{', '.join(parts) or 'none'}"
    return "\n".join([head, *(f"  {problem}" for problem in checked.problems)])


@app.command("info", epilog=INFO_EXAMPLES)
def info(db: Db = None) -> None:
    """Print path and size of the database and of .runner/."""
    from runner import api

    info = api.database_info(db)
    typer.echo(f"{info.database}: {info.database_bytes / 1e6:.1f} MB")
    typer.echo(f"{info.folder}: {info.folder_bytes / 1e6:.1f} MB (may be thrown away)")

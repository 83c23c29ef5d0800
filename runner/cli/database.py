"""The commands `db dump` and `db info`."""

from __future__ import annotations

from typing import Annotated

import typer

from runner.cli.options import Db

app = typer.Typer(help="Look at the database as a whole.", no_args_is_help=True)
DUMP_EXAMPLES = """\b
Examples:
  runner db dump > results.sql
Whether two databases have the same results:
  runner db dump --canonical --db a.db > a.jsonl
  runner db dump --canonical --db b.db | diff a.jsonl -"""
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
    from runner.api.workspace import workspace
    from runner.store.dump import canonical_dump, sql_dump

    database = workspace(db).open(create=False)
    try:
        for line in canonical_dump(database) if canonical else sql_dump(database):
            typer.echo(line)
    finally:
        database.close()


@app.command("info", epilog=INFO_EXAMPLES)
def info(db: Db = None) -> None:
    """Print place and size of the database and of .runner/."""
    from runner.api.workspace import workspace

    place = workspace(db)
    database = place.open(create=False)
    try:
        size = database.path.stat().st_size if database.path is not None else 0
        typer.echo(f"{place.database_path}: {size / 1e6:.1f} MB")
        typer.echo(f"{place.folder}: {place.folder_bytes() / 1e6:.1f} MB (may be thrown away)")
    finally:
        database.close()

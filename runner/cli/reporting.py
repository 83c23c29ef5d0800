"""The command `report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Db, Reference, chosen_database

if TYPE_CHECKING:
    from runner.api.reporting import VariantStanding
    from runner.report.tables.tolerances import ToleranceCheck

EXAMPLES = """\b
Examples:
  runner report                                lists the tables
  runner report --table quickstart
  runner report --table quickstart --format markdown
  runner report experiments/quickstart.yaml    its tables as the file is now
  runner report --table quickstart --sql | sqlite3 results.db
  runner report spec.yaml --check              holds published values
  runner report --reference                    the tables that ship with it"""


def report(
    spec: Annotated[
        Path | None, typer.Argument(metavar="SPEC", help="A spec file, for its tables as now.")
    ] = None,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="Only this table.")] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="text|markdown|latex|html|csv|json", help="How tables are printed."
        ),
    ] = "text",
    sql: Annotated[
        bool,
        typer.Option("--sql", help="Print the SQL instead; with a pivot, that of unpivoted rows."),
    ] = False,
    variant: Annotated[
        str, typer.Option(metavar="NAME", help="A variant, as `runner report` lists them.")
    ] = "",
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Exit with 1 unless each published value with a tolerance holds."
        ),
    ] = False,
    db: Db = None,
    reference: Reference = False,
) -> None:
    """Print tables from the database; without arguments, list them.

    Those of variants (--profile, --set) are shown with --variant only.
    """
    from runner.api.reporting import (
        NOT_AS_RUN,
        check_tolerances,
        fill,
        find_tables,
        sql_of,
        variants_of,
    )
    from runner.bind.workspace import workspace
    from runner.core.errors import UsageError
    from runner.report.tables.render import render

    if check and sql:
        raise UsageError("--check holds numbers against one another, and --sql shows none")
    with workspace(chosen_database(db, reference)).open(create=False) as database:
        found = find_tables(database, table, spec, variant)
        if table is None and spec is None and not sql and not check:
            for each in found:
                about = " ".join(each.about.split())
                typer.echo(f"{each.table.name}  ({each.experiment})  {about}".rstrip())
            for each_variant in variants_of(database):
                typer.echo(_variant_line(each_variant))
            return
        held = check_tolerances(database, found) if check else []
        outputs = [
            f"{sql_of(each)};" if sql else render(fill(database, each), form) for each in found
        ]
    typer.echo("\n".join(outputs), nl=sql)
    for name in dict.fromkeys(each.experiment for each in found if not each.is_as_run):
        typer.echo(f"note: {name} {NOT_AS_RUN}", err=True)
    if check:
        _say_what_holds(held)


def _say_what_holds(held: Sequence[ToleranceCheck]) -> None:
    """Name what does not hold on stderr, after the tables.

    Raises:
        typer.Exit: with 1 when something does not.
    """
    missed = [each for each in held if each.entry.holds != "yes"]
    for each in missed:
        typer.echo(str(each), err=True)
    count = len(held) - len(missed)
    typer.echo(f"{count} of {pluralize(len(held), 'published value')} within tolerance", err=True)
    if missed:
        raise typer.Exit(1)


def _variant_line(standing: VariantStanding) -> str:
    line = f"variant of {standing.experiment}: {standing.variant}"
    if standing.finished == standing.cells:
        return line
    return f"{line}  ({standing.finished} of {pluralize(standing.cells, 'cell')} finished)"

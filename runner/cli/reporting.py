"""The command `report`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Data, Db, Reference, chosen_database

if TYPE_CHECKING:
    from runner.api.reporting import Report
    from runner.report.tables.declared import TableRef, VariantStanding

EXAMPLES = """\b
Examples:
  runner report                                lists the tables
  runner report --table quickstart
  runner report --table quickstart --format markdown
  runner report experiments/quickstart.yaml    its tables as the file is now
  runner report --table quickstart --sql | sqlite3 results.db
  runner report spec.yaml --check              holds published values
  runner report spec.yaml --figures report     tables and figures in a folder
  runner report --html page.html               all of it as one file
  runner report --html page.html a.yaml b.yaml
  runner report --reference                    the tables that ship with it"""


def report(
    specs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SPEC", help="A spec file, for its tables as now; with --html also several."
        ),
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
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write all tables and figures of SPEC there instead, with an index; what"
            " cannot be drawn is named there, and no error.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the page of `runner page` into one file instead: all experiments, or those"
            " of SPECs, with tables, curves and runs. It needs no server and no network.",
            show_default=False,
        ),
    ] = None,
    db: Db = None,
    reference: Reference = False,
    data: Data = None,
) -> None:
    """Print tables from the database; without arguments, list them.

    Those of variants (--profile, --set) are shown with --variant only.
    """
    from runner import api
    from runner.core.errors import UsageError
    from runner.report.tables.render import render

    if check and sql:
        raise UsageError("--check compares numbers, and --sql shows none")
    source = chosen_database(db, reference)
    if html is not None:
        if table is not None or sql or check or figures is not None or form != "text":
            raise UsageError("--html writes all tables, and takes none of the other forms")
        _write_html(specs or [], html, source, variant or None)
        return
    if specs and len(specs) > 1:
        raise UsageError(f"{len(specs)} specs: tables are of one", hint="--html takes several")
    spec = specs[0] if specs else None
    if figures is not None:
        if spec is None:
            raise UsageError("--figures is of a spec", hint="give its file")
        if table is not None or sql or form != "text":
            raise UsageError("--figures writes all tables, as Markdown, CSV and LaTeX")
        _write(spec, figures, source, variant, data)
        if not check:
            return
    if table is None and spec is None and not sql and not check:
        listed = api.list_tables(source, variant)
        for ref in listed.refs:
            about = " ".join(ref.about.split())
            typer.echo(f"{ref.table.name}  ({ref.experiment})  {about}".rstrip())
        for standing in listed.variants:
            typer.echo(_variant_line(standing))
        return
    if sql:
        queries = api.report_sql(table, spec, source, variant)
        typer.echo("\n".join(f"{query.sql};" for query in queries))
        _print_notes(query.ref for query in queries)
        return
    report = api.report(table, spec, source, variant, check)
    typer.echo("\n".join(render(data, form) for data in report.tables), nl=False)
    _print_notes(report.refs)
    if check:
        _print_checks(report)


def _write_html(specs: Sequence[Path], path: Path, db: str | None, variant: str | None) -> None:
    """Write the page as one file; say what it lacks, and where it is."""
    from runner.api.picturing import Pictures
    from runner.api.watching import Watch
    from runner.cli.shown_files import FilesProgress
    from runner.page.one_file import write_file
    from runner.spec.experiment import load_experiment

    names = [load_experiment(spec).name for spec in specs]
    watch, pictures = Watch(db), Pictures(db)
    try:
        with FilesProgress("report", what="experiments") as progress:
            left_out = write_file(watch, path, names, variant, progress.moved, pictures)
    finally:
        pictures.close()
        watch.close()
    for text in left_out:
        typer.echo(f"left out: {text}", err=True)
    typer.echo(path)


def _write(spec: Path, folder: Path, db: str | None, variant: str, data: Path | None) -> None:
    """Write the folder; say what it lacks, and where its index is."""
    from runner import api
    from runner.cli.shown_files import FilesProgress

    with FilesProgress("report", what="tables and figures") as progress:
        made = api.write_report(spec, folder, db, variant, data, progress.moved)
    for text in made.left_out:
        typer.echo(f"left out: {text}", err=True)
    if made.left_out and made.command:
        typer.echo(f"what is left out is made by: {made.command}", err=True)
    _print_notes(made.refs)
    typer.echo(made.index)


def _print_notes(refs: Iterable[TableRef]) -> None:
    from runner.report.tables.declared import NOT_AS_RUN

    for name in dict.fromkeys(ref.experiment for ref in refs if not ref.is_as_run):
        typer.echo(f"note: {name} {NOT_AS_RUN}", err=True)


def _print_checks(report: Report) -> None:
    """Print values outside their tolerance on stderr, after the tables.

    Raises:
        typer.Exit: with 1 when there are any.
    """
    for check in report.missed:
        typer.echo(str(check), err=True)
    count = len(report.checks) - len(report.missed)
    checked = pluralize(len(report.checks), "published value")
    typer.echo(f"{count} of {checked} within tolerance", err=True)
    if report.missed:
        raise typer.Exit(1)


def _variant_line(standing: VariantStanding) -> str:
    line = f"variant of {standing.experiment}: {standing.variant}"
    if standing.finished == standing.cells:
        return line
    return f"{line}  ({standing.finished} of {pluralize(standing.cells, 'cell')} finished)"

"""The commands `validate`, `new` and `schema`: about spec files, before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Data, Db, LookedFor, Only, Profile, Sets, Specs
from runner.core.errors import UsageError

VALIDATE_EXAMPLES = """\b
Examples:
  runner validate experiments/*.yaml
  runner validate spec.yaml --resolved    every setting and where it is given
  runner validate spec.yaml --deep --data ~/data"""
NEW_EXAMPLES = """\b
Examples:
  runner new photos/                        writes photos.yaml
  runner new photos/ --size 128 --out -     prints it
  runner new labels.csv                     of a table: labels.yaml
  runner new --script quickstart:2:0        a run as a plain PyTorch script"""
SCHEMA_EXAMPLES = """\b
Example:
  runner schema > runner.schema.json
  runner schema --code nets.py > runner.schema.json
For editors with a YAML language server, the first line of a spec:
  # yaml-language-server: $schema=runner.schema.json"""


def validate(
    specs: Specs,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print each cell's settings and their origin.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Hold them against data and models too, as run does.")
    ] = False,
    only: Only = None,
    profile: Profile = None,
    sets: Sets = None,
    data: Data = None,
) -> None:
    """Check specs; every problem is shown with its file:line:column."""
    from runner import api
    from runner.api.validating import resolved_rows
    from runner.spec.cell_names import cell_reference

    validation = api.validate(specs, profile, sets or (), deep, data, only or ())
    for note in validation.notes:
        typer.echo(f"note: {note}", err=True)
    for experiment in validation.experiments:
        if not experiment.cells:  # another spec has all that --only asks for
            continue
        if resolved:
            heading = None
            for row in resolved_rows(experiment):
                place = (row["experiment"], row["position"], row["seed"], "", row["fold"])
                here = cell_reference(*place)
                if here != heading:
                    typer.echo(here)
                    heading = here
                typer.echo(f"  {row['setting']}: {json.dumps(row['value'])}  ({row['origin']})")
            continue
        runs = len({item.cell.settings_key for item in experiment.cells})
        counts = f"{pluralize(len(experiment.cells), 'cell')}, {pluralize(runs, 'run')}"
        tables = ", ".join(table.name for table in experiment.tables)
        typer.echo(f"{experiment.path}: {experiment.name}: {counts}, tables: {tables}")


def new(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="A folder with a folder of images per class, or with train, val, test of these; a"
            " table (.csv, .tsv, .jsonl, .parquet) or the folder of metadata.csv; an .npz file.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The file to write, - to print.",
            show_default="NAME.yaml, or KEY.py",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="PIXELS",
            help="Side of the prepared images.",
            show_default="at most 64",
        ),
    ] = None,
    script: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Write a finished run as a plain PyTorch script instead: a run key's beginning, or"
            " a cell as `list` prints it.",
        ),
    ] = None,
    db: Db = None,
    run_data: LookedFor = None,
) -> None:
    """Write a short spec for a folder, a table or a file of images; or a run as a script.

    A script needs PyTorch and nothing of this program, and prints the numbers that are recorded.
    """
    from runner import api

    if (data is None) == (script is None):
        raise UsageError("one of DATA and --script is needed")
    if script is not None:
        if size is not None:
            raise UsageError("--size is of a spec, not of a --script")
        made = api.new_script(script, out, db, run_data)
        if made.path is None:
            typer.echo(made.text, nl=False)
        else:
            typer.echo(f"{made.path} written; try: python {made.path}")
        return
    assert data is not None
    spec = api.new_spec(data, out, size)
    if spec.path is None:
        typer.echo(spec.text, nl=False)
    else:
        typer.echo(f"{spec.path} written; try: runner plan {spec.path} --probe")


def schema() -> None:
    """Print the JSON Schema of spec files.

    Of own code that is allowed, and of installed packages, it has the settings too.
    """
    from runner import api

    typer.echo(json.dumps(api.spec_schema(), indent=2))

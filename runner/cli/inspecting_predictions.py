"""The command `inspect predictions`: what a run's network says of images, as pictures and CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli.inspecting import RunName
from runner.cli.options import Db

EXAMPLES = """\b
Examples:
  runner inspect predictions spec:0:0
  runner inspect predictions spec:0:0 --split val --most 8 --csv confusion.csv
  runner inspect predictions spec:0:0 --image cat/3.png --most 0"""


def predictions(
    run: RunName,
    split: Annotated[
        str, typer.Option(metavar="test|val|train_eval", help="Which images.")
    ] = "test",
    most: Annotated[
        int, typer.Option(metavar="N", help="Images on each sheet of the most confident.")
    ] = 12,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An image for a sheet of its own; repeatable."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="best|last", help="Of which epoch.", show_default="best where kept"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .png, .svg or .pdf file; -right, -wrong … stand before its suffix.",
            show_default="figures/RUN-predictions.png",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the confusion matrix as CSV.")
    ] = None,
    db: Db = None,
) -> None:
    """Draw the most confident right and wrong predictions, and the confusion matrix.

    Beside each picture stand class names and probabilities. All of it comes from
    the logits that the run has kept: no network is needed.
    """
    from runner import api
    from runner.artifacts.atomic import refuse_place

    if csv is not None:
        refuse_place(csv)
    found = api.inspect_predictions(run, split, most, image or (), weights=weights, out=out, db=db)
    if found.missing:
        typer.echo(f"note: sheets are left out, without their pictures: {found.missing}", err=True)
    for path in found.paths:
        typer.echo(path)
    if csv is not None:
        api.write_confusion(found.predictions, csv)
        typer.echo(csv)

"""The commands `inspect …`: what can be seen of networks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.answers import aligned, csv_text
from runner.cli.code_option import takes_code
from runner.cli.options import Db, Only, Profile, Sets, check_format

if TYPE_CHECKING:
    from runner.api.sizing import SizedNetwork

app = typer.Typer(no_args_is_help=True, help="Look at networks, and at what they have learnt.")

SIZES_EXAMPLES = """\b
Examples:
  runner inspect sizes experiments/convnet_cifar10.yaml
  runner inspect sizes spec.yaml --only NET=Resnet18 --image 3x224x224
  runner inspect sizes spec.yaml --format csv"""
COLUMNS = ("layer", "kind", "output", "parameters", "trainable", "multiply-adds", "field", "stride")
SHOWN_CELLS = 4


@app.command("sizes", epilog=SIZES_EXAMPLES)
@takes_code
def sizes(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.")],
    image: Annotated[
        str | None,
        typer.Option(
            metavar="CxHxW",
            help="Channels, height and width of an image.",
            show_default="as the spec says",
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Classes of the data.", show_default="as the spec says"),
    ] = None,
    only: Only = None,
    profile: Profile = None,
    sets: Sets = None,
    form: Annotated[
        str, typer.Option("--format", metavar="text|csv|json", help="How it is printed.")
    ] = "text",
) -> None:
    """Show each layer's weights, multiply-adds and receptive field.

    Of every network of the spec; neither data nor weights are read. The
    receptive field is how many pixels a unit depends on, stride how far apart
    the fields of neighbours are; a unit that looks at everything has no stride.
    """
    check_format(form, ("text", "csv", "json"))
    from runner import api

    found = api.inspect_sizes(spec, only or (), profile, sets or (), image, classes)
    if form == "csv":
        rows = [row for network in found.networks for row in network.rows()]
        typer.echo(csv_text(rows), nl=False)
    elif form == "json":
        typer.echo(json.dumps([_record(each) for each in found.networks], indent=2))
    else:
        typer.echo("\n\n".join("\n".join(_described(each)) for each in found.networks))


def _record(network: SizedNetwork) -> dict[str, Any]:
    layers = [{**row} for row in network.rows()]
    for row in layers:
        del row["network"], row["cells"]
    return {
        "network": network.name,
        "cells": list(network.cells),
        "image": list(network.shape),
        "classes": network.classes,
        "parameters": network.sizes.parameters,
        "trainable": network.sizes.trainable,
        "multiply_adds": network.sizes.multiply_adds,
        "unknown": network.sizes.unknown,
        "layers": layers,
    }


def _described(network: SizedNetwork) -> Iterator[str]:
    sizes, cells = network.sizes, network.cells
    yield f"network    {network.name}"
    more = f" and {len(cells) - SHOWN_CELLS} more" if len(cells) > SHOWN_CELLS else ""
    yield f"cells      {'; '.join(cells[:SHOWN_CELLS])}{more}"
    image = "×".join(map(str, network.shape))
    yield f"image      {image}, classes {network.classes}"
    yield f"weights    {sizes.parameters:,} parameters, {sizes.trainable:,} trained"
    yield f"work       {sizes.multiply_adds:,} multiply-adds an image"
    if sizes.unknown:
        yield f"unknown    the receptive field {sizes.unknown}"
    yield ""
    rows = [COLUMNS, *(_row(row) for row in network.rows())]
    yield from aligned(rows, 3)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    numbers = [f"{row[name]:,}" for name in ("parameters", "trainable", "multiply_adds")]
    field = _sides(row["field_height"], row["field_width"])
    stride = _sides(row["stride_height"], row["stride_width"])
    return row["layer"], row["kind"], row["output"], *numbers, field, stride


def _sides(height: float | None, width: float | None) -> str:
    """Return height and width as 7×5, or 7 where they are equal; – where there is none."""
    if height is None or width is None:
        return "?"
    if not height and not width:
        return "–"
    return f"{height:g}" if height == width else f"{height:g}×{width:g}"


RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run key's beginning, or a cell as `list` prints it.")
]
Named = Annotated[
    str,
    typer.Option(
        "--analysis",
        metavar="NAME|KEY",
        help="Its name in the spec, or the beginning of its key, where there are several.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A .png, .svg or .pdf file.",
        show_default="figures/RUN-NAME.png",
    ),
]
EXAMPLE = "\b\nExamples:\n  runner inspect {} spec:0:0 --out seen.png"


def draw(run: str, kind: str, analysis: str, out: Path | None, db: str | None) -> None:
    """Draw what an analysis of a spec has found, and print the files."""
    from runner import api

    for path in api.inspect_analysis(run, kind, analysis, out, db).paths:
        typer.echo(path)


@app.command("filters", epilog=EXAMPLE.format("filters"))
def filters(run: RunName, analysis: Named = "", out: Out = None, db: Db = None) -> None:
    """Draw the first layer's filters before and after training.

    It shows what `runner run` has made where the spec's `analyses` name
    `filters`.
    """
    draw(run, "filters", analysis, out, db)


@app.command("neurons", epilog=EXAMPLE.format("neurons"))
def neurons(run: RunName, analysis: Named = "", out: Out = None, db: Db = None) -> None:
    """Draw the weights of neurons as images.

    It shows what `runner run` has made where the spec's `analyses` name
    `neurons`.
    """
    draw(run, "neurons", analysis, out, db)

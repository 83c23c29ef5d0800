"""The commands `inspect saliency` and `inspect embedding`: images, as a run's network sees them.

Without --image they draw what the spec's analyses have found; with it they look now.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from runner.cli.answers import answer
from runner.cli.inspecting import EXAMPLE, Named, Out, RunName, draw
from runner.cli.options import Db, Device, KeptWeightsOption, LookedFor, check_format
from runner.core.errors import UsageError
from runner.core.text import printable

Image = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        metavar="NAME|FILE",
        help="An image of the run's data by name, or a file (./FILE); may be repeated.",
    ),
]
Layer = Annotated[
    str | None, typer.Option(metavar="LAYER", help="Its name, as `inspect sizes` prints it.")
]
Form = Annotated[
    str, typer.Option("--format", metavar="text|csv|json", help="How the answer is printed.")
]
Arrays = Annotated[
    Path | None,
    typer.Option("--npz", metavar="FILE", help="Write the arrays to a file of NumPy as well."),
]
FORMATS = ("text", "csv", "json")
SALIENCY_EXAMPLES = (
    EXAMPLE.format("saliency")
    + """
  runner inspect saliency spec:0:0 --image photo.jpg
  runner inspect saliency 3f9a --image a/1.png --method grad_cam --class dog"""
)
EMBEDDING_EXAMPLES = (
    EXAMPLE.format("embedding")
    + """
  runner inspect embedding spec:0:0 --image photo.jpg --neighbours 8"""
)


def saliency(
    run: RunName,
    image: Image = None,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="The class that is explained.",
            show_default="the predicted one",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="One of gradient, guided_backpropagation, grad_cam; may be repeated.",
            show_default="the last two, where they suit",
        ),
    ] = None,
    layer: Layer = None,
    form: Form = "text",
    npz: Arrays = None,
    analysis: Named = "",
    out: Out = None,
    weights: KeptWeightsOption = "best",
    db: Db = None,
    data: LookedFor = None,
    device: Device = None,
) -> None:
    """Draw which pixels of images move the score of a class; a file for each method.

    With --image, the network of the run is asked now, by the weights it keeps:
    nothing is trained or recorded. Without, what the spec's `analyses` ask for
    as `saliency`, and `run` has made.
    """
    if not image:
        needing = {"--class": class_name, "--method": method, "--layer": layer, "--npz": npz}
        _refuse_without_image(needing)
        draw(run, "saliency", analysis, out, db)
        return
    _check(form, npz, analysis)
    from runner import api

    kept = api.KeptRun(run, weights, db, data, device)
    found = api.inspect_saliency(
        kept, image, class_name=class_name, methods=method, layer=layer, out=out
    )
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    lines = [
        f"{each.image}: {each.predicted} ({each.probability:.1%})"
        + (
            f"; explained: {each.explained} ({each.explained_probability:.1%})"
            if each.explained != each.predicted
            else ""
        )
        for each in found.rows
    ]
    answer(form, lines, found.records(), found.paths)
    _write(npz, found.arrays)


def embedding(
    run: RunName,
    image: Image = None,
    neighbours: Annotated[
        int | None,
        typer.Option(min=1, max=100, metavar="NUMBER", help="Of each image.", show_default="5"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="train|val|test", help="Where they are looked for.", show_default="val"
        ),
    ] = None,
    layer: Layer = None,
    form: Form = "text",
    npz: Arrays = None,
    analysis: Named = "",
    out: Out = None,
    weights: KeptWeightsOption = "best",
    db: Db = None,
    data: LookedFor = None,
    device: Device = None,
) -> None:
    """Draw images as points, by what a layer makes of them; or the nearest of an image.

    With --image, images of the run's data are looked for that the network takes
    for the most similar, by the weights it keeps: nothing is trained or recorded.
    Without, what the spec's `analyses` ask for as `embedding`, and `run` has made.
    """
    if not image:
        needing = {"--neighbours": neighbours, "--split": split, "--layer": layer, "--npz": npz}
        _refuse_without_image(needing)
        draw(run, "embedding", analysis, out, db)
        return
    _check(form, npz, analysis)
    from runner import api
    from runner.cli.shown_files import FilesProgress

    kept = api.KeptRun(run, weights, db, data, device)
    with FilesProgress("compare") as progress:
        found = api.inspect_neighbours(
            kept,
            image,
            neighbours or 5,
            layer=layer,
            split=split or "val",
            out=out,
            on_done=progress.moved,
        )
    lines = []
    for each in found.rows:
        if each.rank == 1:
            lines.append(f"{each.image}: nearest of {found.searched} by {found.layer}")
        lines.append(f"  {each.rank:>3}  {each.distance:.3f}  {each.label}  {each.neighbour}")
    answer(form, lines, found.records(), found.paths)
    _write(npz, found.arrays)


def _refuse_without_image(given: Mapping[str, Any]) -> None:
    named = [option for option, value in given.items() if value]
    if named:
        raise UsageError(f"{', '.join(named)} without an image", hint="give --image NAME|FILE")


def _check(form: str, npz: Path | None, analysis: str) -> None:
    """Refuse what does not go with --image, before any work."""
    from runner.cli.shown_files import check_place

    check_format(form, FORMATS)
    check_place(npz)
    if analysis:
        raise UsageError(
            f"--analysis {analysis} is of the spec, --image is looked at now", hint="give one"
        )


def _write(path: Path | None, arrays: Mapping[str, Any]) -> None:
    """Write arrays to a file of NumPy, whole or not at all."""
    if path is None:
        return
    import numpy as np

    from runner.artifacts.atomic import whole_file

    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    typer.echo(printable(str(path)), err=True)

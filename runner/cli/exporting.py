"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli.options import Db, KeptWeightsOption, LookedFor
from runner.components.download import show_bytes
from runner.core.text import printable

EXAMPLES = """\b
Examples:
  runner export quickstart:2:0 --format onnx --out digits.onnx
  runner export 3f9a --format safetensors
Format onnx needs more packages: pip install 'runner[export]'"""


def export(
    name: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run key's beginning, or a cell as `list` prints it."),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="safetensors|onnx|pt2",
            help="What kind of file.",
            show_default="by the suffix of --out",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file, which is replaced.", show_default="the run's key"
        ),
    ] = None,
    weights: KeptWeightsOption = "best",
    db: Db = None,
    data: LookedFor = None,
) -> None:
    """Write a run's network to a file for other programs.

    Preprocessing and class names are in the file's metadata, and in a model card
    beside it. The file is kept only if it computes what the run's network does.
    """
    from runner import api

    found = api.export(name, form, out, weights=weights, db=db, data=data)
    size = show_bytes(found.path.stat().st_size)
    path, card = printable(str(found.path)), printable(found.card.name)
    typer.echo(f"{path} written ({size}), and {card} beside it")
    typer.echo(
        f"compared with the run's network on {found.images} images: the same class for"
        f" {found.same_class} of them, logits differ by at most {found.difference:.2g}",
        err=True,
    )

"""The command `plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli.options import Data, Db, Only, Profile, Reference, Sets, chosen_database
from runner.report.figures.kinds import FIGURES

KINDS = ", ".join(FIGURES)
EXAMPLES = """\b
Examples:
  runner plot experiments/quickstart.yaml
  runner plot experiments/quickstart.yaml --reference
  runner plot spec.yaml curves --only lr=0.005 --only lr=0.05 --per step
  runner plot spec.yaml accuracy --out accuracy.pdf
  runner plot spec.yaml setting --x dropout
  runner plot spec.yaml augmentations --images 2
  runner plot spec.yaml saliency --only lr=0.1
  runner plot spec.yaml setting --x lr --metric "val_loss - train_loss\""""


def plot(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.")],
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[FIGURE]", help=f"The name of a figure of the spec, or one of {KINDS}."
        ),
    ] = "sheet",
    only: Only = None,
    profile: Profile = None,
    sets: Sets = None,
    per: Annotated[
        str | None,
        typer.Option(metavar="step|epoch", help="Losses by step or epoch.", show_default="epoch"),
    ] = None,
    smooth: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            min=1,
            help="With --per step: average the losses of so many steps into one point.",
            show_default="leaves 150 points",
        ),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(
            "--x",
            metavar="SETTING|LABEL",
            help="The x axis of `setting`.",
            show_default="the only one that varies",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="A metric or formula of `setting`, or of `robustness`; may be repeated.",
            show_default="accuracies and their gap",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="best|last|min|max|EPOCH",
            help="The epoch of these metrics.",
            show_default="best",
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=20, help="Images in `augmentations`.", show_default="3"
        ),
    ] = None,
    analysis: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which analysis of the spec.",
            show_default="the only one of the figure's kind",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .png, .svg or .pdf file.",
            show_default="figures/EXPERIMENT-FIGURE.png",
        ),
    ] = None,
    reference: Reference = False,
    db: Db = None,
    data: Data = None,
) -> None:
    """Draw recorded runs: curves of each cell, or metrics against a setting.

    Also what the spec's analyses found of them. The figure `augmentations`
    needs no runs but the data: images beside what augmentation makes of them.
    """
    from runner import api

    figure = api.plot(
        spec,
        kind,
        only=only or (),
        profile=profile,
        sets=sets or (),
        per=per,
        smooth=smooth,
        x=x,
        metrics=metric or (),
        at=at,
        images=images,
        analysis=analysis,
        out=out,
        db=chosen_database(db, reference),
        data=data,
    )
    for text in figure.left_out:
        typer.echo(f"left out: {text}", err=True)
    if figure.left_out and figure.command:
        typer.echo(f"what is left out is made by: {figure.command}", err=True)
    for note in figure.notes:
        typer.echo(f"note: {note}", err=True)
    for path in figure.paths:
        typer.echo(path)

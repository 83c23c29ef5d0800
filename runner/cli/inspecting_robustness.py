"""The command `inspect robustness`: how a run's network fares on changed images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.answers import aligned, answer, csv_text
from runner.cli.inspecting import Named, Out, RunName
from runner.cli.options import Db, Device, KeptWeightsOption, LookedFor
from runner.core.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from runner.api.inspecting_robustness import InspectedRobustness

EXAMPLES = """\b
Examples:
  runner inspect robustness spec:0:0
  runner inspect robustness spec:0:0 --transform fog --transform contrast
  runner inspect robustness 3f9a --transform cifar10_c --severity 3
  runner inspect robustness 3f9a --transform '{name: RandomGrayscale, p: 1}'"""


def robustness(
    run: RunName,
    transform: Annotated[
        list[str] | None,
        typer.Option(
            "--transform",
            "--transforms",
            metavar="NAME|YAML",
            help="A step, a corruption, cifar10_c for all of these, or what a spec says under"
            " `transforms`; may be repeated.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="train|val|test", help="Which images.", show_default="val"),
    ] = None,
    severity: Annotated[
        list[int] | None,
        typer.Option(
            metavar="NUMBER",
            help="Of corruptions, only this one; may be repeated.",
            show_default="all five",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="How often each is drawn.", show_default="5"),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table as CSV as well.")
    ] = None,
    out: Out = None,
    analysis: Named = "",
    weights: KeptWeightsOption = "best",
    db: Db = None,
    data: LookedFor = None,
    device: Device = None,
) -> None:
    """Show and draw the accuracy on changed images, by transform and severity.

    With --transform it is measured now, by the weights that the run keeps:
    nothing is trained or recorded, and when it is stopped, the same command goes
    on behind what was measured. Without, what the spec's `analyses` ask for as
    `robustness`, and `run` has made.
    """
    from runner import api
    from runner.cli.shown_files import FilesProgress, check_place, writing

    needing = {"--split": split, "--severity": severity, "--draws": draws is not None}
    if not transform and (named := [option for option, value in needing.items() if value]):
        raise UsageError(f"{', '.join(named)} without a transform", hint="give --transform NAME")
    if transform and analysis:
        raise UsageError(
            f"--analysis {analysis} is of the spec, --transform is measured now", hint="give one"
        )
    check_place(csv)
    with FilesProgress("change and classify", what="images") as progress:
        try:
            found = api.inspect_robustness(
                api.KeptRun(run, weights, db, data, device),
                transform or (),
                split=split or "val",
                severities=severity or (),
                draws=5 if draws is None else draws,
                analysis=analysis,
                out=out,
                on_done=progress.moved,
            )
        except Interrupted as error:
            raise Interrupted(f"{error}; the same command goes on behind them") from None
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    answer("text", list(_lines(found)), (), found.paths)
    if csv is not None:
        with writing(csv) as file:
            file.write(csv_text(found.records()))
        typer.echo(csv)


def _lines(found: InspectedRobustness) -> Iterator[str]:
    rows = [("transform", "severity", "accuracy", "drop")]
    for each in found.rows:
        spread = "" if each.accuracy_std is None else f" ± {each.accuracy_std:.4f}"
        accuracy = f"{each.accuracy:.4f}{spread}"
        rows.append((each.transform, str(each.severity), accuracy, f"{each.drop:+.4f}"))
    yield from aligned(rows, 1)

"""The command `export`: a trained network as a file, or what is recorded for another tool."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Db, LookedFor, Reference, chosen_database
from runner.components.download import show_bytes
from runner.core.errors import Interrupted, UsageError
from runner.core.text import printable

if TYPE_CHECKING:
    from runner.api.exporting_records import ExportedRecords

EXAMPLES = """\b
Examples of a network as a file:
  runner export quickstart:2:0 --format onnx --out digits.onnx
  runner export 3f9a --format safetensors
Format onnx needs more packages: pip install 'runner[export]'

\b
Examples of records for another tool:
  runner export --to csv --folder numbers      of all experiments
  runner export quickstart --to tensorboard --follow
  runner export quickstart --to mlflow --url http://localhost:5000
  runner export --reference --to tensorboard   what ships with the program
Some tools need more packages: pip install 'runner[TOOL]'"""

DATA_VARIABLE = "RUNNER_DATA"


def export(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|EXPERIMENT|SPEC",
            help="A run key's beginning, or a cell as `list` prints it; with --to also experiments"
            " and spec files, several, or none for all.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="safetensors|onnx|pt2",
            help="Network: what kind of file.",
            show_default="by the suffix of --out",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Network: the file, which is replaced.",
            show_default="the run's key",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="best|last",
            help="Network: of its best epoch, or of its last, where kept.",
            show_default="best",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="tensorboard|mlflow|wandb|trackio|csv",
            help="Write records in place of a network: settings, numbers and tables, for this"
            " tool. What is there already is not written twice.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Records: where they go.", show_default="exports/TOOL"),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Records: the store or server of MLflow.",
            show_default="MLFLOW_TRACKING_URI, else sqlite:///mlflow.db",
        ),
    ] = None,
    variant: Annotated[
        str,
        typer.Option(metavar="NAME", help="Records: of a variant, as `runner report` lists them."),
    ] = "",
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Records: with the pictures of an earlier `report --figures FOLDER`.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Records: go on until no run is unfinished, or Ctrl-C."),
    ] = False,
    db: Db = None,
    reference: Reference = False,
    data: LookedFor = None,
) -> None:
    """Write a run's network to a file, or with --to what is recorded for another tool.

    Of a network, preprocessing and class names are in the file's metadata, and in a model card
    beside it. The file is kept only if it computes what the run's network does.
    """
    if to is not None:
        own_data = data is not None and str(data) != os.environ.get(DATA_VARIABLE)
        of_network = {"--format": form, "--out": out, "--weights": weights, "--data": own_data}
        _refuse(of_network, "is of a network, and --to writes records")
        place = _place(to, folder, url)
        source = chosen_database(db, reference)
        options = {"place": place, "variant": variant, "figures": figures, "follow": follow}
        _export_records(to, names or [], source, **options)
        return
    of_records = {"--folder": folder, "--url": url, "--variant": variant, "--figures": figures}
    _refuse({**of_records, "--follow": follow}, "is of records, which --to writes")
    _refuse({"--reference": reference}, "has no networks, only records, which --to writes")
    if len(names or []) != 1:
        found = "no name is given" if not names else f"{len(names)} names, and one network"
        raise UsageError(found, hint="name one run for its network, or give --to for records")
    _export_network(
        names[0] if names else "", form, out, weights=weights or "best", db=db, data=data
    )


def _refuse(given: Mapping[str, Any], why: str) -> None:
    """Refuse options that belong to the other use of the command.

    Raises:
        UsageError: which names the first that was given.
    """
    for name, value in given.items():
        if value:
            raise UsageError(f"{name} {why}")


def _place(to: str, folder: Path | None, url: str | None) -> Path | str | None:
    """Return where records go, None where nothing is said.

    Raises:
        UsageError: when the tool takes the other option.
    """
    from runner.report.trackers.kinds import find_tracker

    if find_tracker(to).is_url:
        _refuse({"--folder": folder}, f"is not for {to}, which takes --url")
        return url
    _refuse({"--url": url}, f"is not for {to}, which takes --folder")
    return folder


def _export_network(name: str, form: str | None, out: Path | None, **options: Any) -> None:
    from runner import api

    found = api.export(name, form, out, **options)
    size = show_bytes(found.path.stat().st_size)
    path, card = printable(str(found.path)), printable(found.card.name)
    typer.echo(f"{path} written ({size}), and {card} beside it")
    typer.echo(
        f"compared with the run's network on {found.images} images: the same class for"
        f" {found.same_class} of them, logits differ by at most {found.difference:.2g}",
        err=True,
    )


def _export_records(to: str, names: Sequence[str], db: str | None, **options: Any) -> None:
    from runner import api
    from runner.cli.shown_files import FilesProgress

    with FilesProgress("export", what="runs") as progress:
        try:
            found = api.export_records(to, names, db=db, on_progress=progress.moved, **options)
        except Interrupted as error:
            raise Interrupted(f"{error}; the same command goes on behind them") from None
    for run in found.runs:
        if run.message:
            typer.echo(f"{run.status}: {run.cell}: {printable(run.message)}", err=True)
    typer.echo(_in_words(found))
    if found.look:
        typer.echo(f"look at it: {found.look}", err=True)


def _in_words(found: ExportedRecords) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in found.counts().items())
    runs = pluralize(len(found.runs), "run") + (f" ({counts})" if counts else "")
    beside = [pluralize(found.tables, "table")]
    beside += [pluralize(found.pictures, "picture")] if found.pictures else []
    return f"{printable(found.place)}: {', '.join([runs, *beside])}"

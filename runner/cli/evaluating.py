"""The command `evaluate`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Db, Device, KeptWeightsOption, RunData, check_format
from runner.core.text import printable

if TYPE_CHECKING:
    from runner.api.evaluating import Evaluation

EXAMPLES = """\b
Examples:
  runner evaluate quickstart:2:0 --data other-digits
  runner evaluate scans:0 --data new.csv --split test
  runner evaluate 3f9a --data ~/photos/new --format csv --out new.csv"""


def evaluate(
    name: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run key's beginning, or a cell as `list` prints it."),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            help="A folder with one of images for each class, a table, or arrays (.npz), as a"
            " spec's data takes them; classes are called as those of the run.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="train|val|test", help="Which split, where the data has such.", show_default=""
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="text|csv|json", help="How it is written.")
    ] = "text",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to.", show_default="standard output"),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Let the images lack classes of the run.")
    ] = False,
    weights: KeptWeightsOption = "best",
    db: Db = None,
    run_data: RunData = None,
    device: Device = None,
) -> None:
    """Measure a run's network on other labelled images.

    Nothing is recorded. Images are prepared as the run's data was, and every one
    counts: where one cannot be read, nothing is measured and the exit code is 1, unless
    the run's data has `on_corrupt: skip`.
    """
    check_format(form, ("text", "csv", "json"))
    from runner import api
    from runner.cli.shown_files import FilesProgress, writing

    with writing(out) as file:
        with FilesProgress("evaluate") as progress:
            found = api.evaluate(
                name,
                data if split is None else (data, split),
                weights=weights,
                allow_missing=allow_missing,
                db=db,
                run_data=run_data,
                device=device,
                on_progress=progress.moved,
            )
        for note in found.notes:
            typer.echo(f"note: {note}", err=True)
        for path, error in found.left_out.items():
            typer.echo(f"left out: {path}: {error}", err=True)
        _write(found, form, file)


def _write(found: Evaluation, form: str, file: IO[str]) -> None:
    from runner.report.tables.render import csv_field

    rows = found.rows()
    if form == "json":
        content = {
            "run": found.run_key,
            "epoch": found.epoch,
            "data": printable(str(found.data)),
            "split": found.split,
            "measures": dict(found.measures),
            "images": dict(found.images),
            "right": dict(found.right),
            "left_out": dict(found.left_out),
        }
        json.dump(content, file, indent=2)
        file.write("\n")
    elif form == "csv":
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows(map(csv_field, row.values()) for row in rows)
    else:
        file.write("\n".join(_lines(found)) + "\n")


def _lines(found: Evaluation) -> list[str]:
    total = pluralize(sum(found.images.values()), "image")
    of = "" if found.split is None else f" of split {found.split}"
    names = max(9, *map(len, found.measures))
    lines = [
        f"{'run'.ljust(names)} {found.run_key[:12]}, weights of epoch {found.epoch}",
        f"{'data'.ljust(names)} {printable(str(found.data))}: {total}{of}",
        *(f"{name.ljust(names)} {value:#.4g}" for name, value in found.measures.items()),
    ]
    width = max(len("class"), *map(len, found.images))
    lines += ["", f"{'class'.ljust(width)}  images  right  accuracy"]
    for name, count in found.images.items():
        share = f"{found.right[name] / count:#.4g}" if count else "–"
        lines.append(f"{name.ljust(width)}  {count:>6}  {found.right[name]:>5}  {share:>8}")
    return lines

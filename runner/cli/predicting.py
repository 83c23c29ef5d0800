"""The command `predict`."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import Db, Device, KeptWeightsOption, LookedFor, check_format
from runner.core.text import printable

if TYPE_CHECKING:
    from runner.api.predicting import Prediction, Unread

EXAMPLES = """\b
Examples:
  runner predict quickstart:2:0 digit.png
  runner predict 3f9a photos --top 3 --out photos.csv
  find photos -name '*.jpg' | runner predict 3f9a -"""
SHOWN = 10


def predict(
    name: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run key's beginning, or a cell as `list` prints it."),
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|FOLDER", help="Images, folders of them, or - for names, a line each."
        ),
    ],
    top: Annotated[
        int,
        typer.Option(
            min=1, metavar="NUMBER", help="So many of the most probable classes of each file."
        ),
    ] = 1,
    form: Annotated[
        str, typer.Option("--format", metavar="csv|json", help="How it is written.")
    ] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to.", show_default="standard output"),
    ] = None,
    weights: KeptWeightsOption = "best",
    db: Db = None,
    data: LookedFor = None,
    device: Device = None,
) -> None:
    """Say what a run's network sees in images: class and probability.

    Images are prepared as the run's data was. Files that cannot be read are named on standard
    error, the rest is done, and the exit code is 1. A file that the rows are
    written to is not looked at.
    """
    check_format(form, ("csv", "json"))
    from runner import api
    from runner.api.predicting import Prediction, Unread, found_files
    from runner.cli.shown_files import FilesProgress, check_place, is_written_to, writing

    check_place(out)  # before the files are listed: it removes what a killed call left there
    paths = found_files(list(_named(files)), lambda path: is_written_to(path, out))
    with writing(out) as file, FilesProgress("predict", beside_rows=out is None) as progress:
        sheet = _Sheet(file, top) if form == "csv" else None

        def on_predicted(said: Sequence[Prediction | Unread], done: int, total: int) -> None:
            for each in said:
                if isinstance(each, Unread):
                    progress.say(f"{printable(str(each.file))}: {each.error}")
            if sheet is not None:
                sheet.write([each.row() for each in said if isinstance(each, Prediction)])
            progress.moved(done, total)

        found = api.predict(
            name,
            paths,
            top=top,
            weights=weights,
            db=db,
            data=data,
            device=device,
            on_predicted=on_predicted,
        )
        if form == "json":
            json.dump([_as_json(each) for each in found.rows], file, indent=2)
            file.write("\n")
    if found.animated:
        names = [printable(str(path)) for path in found.animated[:SHOWN]]
        more = ", …" if len(found.animated) > SHOWN else ""
        typer.echo(f"only the first frame was looked at: {', '.join(names)}{more}", err=True)
    if found.unread:
        total = pluralize(len(found.rows) + len(found.unread), "file")
        typer.echo(f"{len(found.unread)} of {total} could not be read", err=True)
        raise typer.Exit(1)


def _named(files: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that are named; of "-", those on standard input, a line each."""
    for each in files:
        if str(each) != "-":
            yield each
            continue
        lines = (os.fsdecode(line).rstrip("\r\n") for line in sys.stdin.buffer)
        yield from (Path(line) for line in lines if line)


class _Sheet:
    """A CSV that is written as predictions come."""

    def __init__(self, file: IO[str], top: int) -> None:
        self._file, self._top = file, top
        self._writer: Any = None

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows, below the head, at once."""
        from runner.api.predicting import columns
        from runner.report.tables.render import csv_field

        if self._writer is None:
            self._writer = csv.writer(self._file, lineterminator="\n")
            self._writer.writerow(columns(self._top))
        self._writer.writerows(map(csv_field, row.values()) for row in rows)
        self._file.flush()


def _as_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "file": printable(str(prediction.file)),
        "class": prediction.class_name,
        "probability": prediction.probability,
        "top": [{"class": name, "probability": share} for name, share in prediction.top],
    }

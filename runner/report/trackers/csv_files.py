"""CSV files of all runs, for spreadsheets and programs of any kind.

The folder is written anew each time, and appears whole or not at all.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from runner.artifacts.atomic import whole_folder
from runner.bind.exported_cells import ExportedCell
from runner.report.figures.options import as_file_part
from runner.report.own_folder import check_place
from runner.report.tables.render import csv_field, csv_text, even_rows, render
from runner.report.trackers.pictures import TrackedPicture
from runner.report.trackers.tracker import (
    STEP_LOSS,
    Result,
    TrackedRun,
    TrackedTable,
    Tracker,
)

MANIFEST = "export.json"
KEYS = ("experiment", "variant", "run_key", "rerun")
"""In every file: together they name a run."""

HEADERS = {
    "epochs.csv": (*KEYS, "epoch", "moment", "name", "value"),
    "steps.csv": (*KEYS, "epoch", "step", "moment", "loss"),
    "settings.csv": (*KEYS, "setting", "value"),
}


class CsvTracker(Tracker):
    """Files `runs.csv`, `epochs.csv`, `steps.csv`, `settings.csv`, `tables/` and `figures/`."""

    kind = "csv"
    default = "exports/csv"
    look = ""

    def __init__(self, place: str) -> None:
        """Begin nothing yet.

        Args:
            place: a new folder, an empty one, or that of an earlier export, which is replaced.

        Raises:
            UsageError: when it holds anything else, or cannot be written.
        """
        self._place = check_place(Path(place), MANIFEST, "export")
        self._stack = ExitStack()

    def __enter__(self) -> CsvTracker:
        self._place.parent.mkdir(parents=True, exist_ok=True)
        self._runs: list[dict[str, Any]] = []
        self._names = [*HEADERS, "runs.csv"]
        with ExitStack() as stack:
            self._folder = stack.enter_context(whole_folder(self._place))
            self._files = ExitStack()
            stack.push(self._files)
            self._writers = {name: self._begun(name, header) for name, header in HEADERS.items()}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                self._finish()
        finally:
            self._stack.__exit__(*error)

    def has(self, cell: ExportedCell, result: Result) -> bool:
        """Return False: all files are written anew."""
        return False

    def write(self, run: TrackedRun) -> None:
        """Write a run into each file."""
        tags = run.tags()
        keys = [tags[name] for name in KEYS]
        self._runs.append({**tags, **run.results()})
        self._rows("settings.csv", ([*keys, *each] for each in run.settings().items()))
        points = list(run.points())
        steps = [point for point in points if point.name == STEP_LOSS]
        self._rows("steps.csv", ([*keys, p.epoch, p.step, p.moment, p.value] for p in steps))
        others = [point for point in points if point.name != STEP_LOSS]
        self._rows("epochs.csv", ([*keys, p.epoch, p.moment, p.name, p.value] for p in others))

    def write_tables(self, tables: Sequence[TrackedTable]) -> None:
        """Write a file for each table."""
        for table in tables:
            stem = f"tables/{as_file_part(table.group)}-{as_file_part(table.name)}"
            name, number = f"{stem}.csv", 2
            while name.casefold() in map(str.casefold, self._names):
                name, number = f"{stem}-{number}.csv", number + 1
            self._names.append(name)
            self._text(name, render(table.data, "csv"))

    def write_pictures(self, pictures: Sequence[TrackedPicture]) -> None:
        """Copy each picture."""
        for picture in pictures:
            name = f"figures/{as_file_part(picture.group)}-{picture.path.name}"
            self._names.append(name)
            (self._folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(picture.path, self._folder / name)

    def _begun(self, name: str, header: Sequence[str]) -> Any:
        file = (self._folder / name).open("w", encoding="utf-8", newline="")
        writer = csv.writer(self._files.enter_context(file), lineterminator="\n")
        writer.writerow(header)
        return writer

    def _rows(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        self._writers[name].writerows([csv_field(value) for value in row] for row in rows)

    def _finish(self) -> None:
        """Write what is known at the end; close the files, so that all of them is on the disk."""
        self._text("runs.csv", csv_text(even_rows(self._runs)))
        content = {"format": 1, "files": sorted(self._names)}
        self._text(MANIFEST, json.dumps(content, indent=2) + "\n")
        self._files.close()

    def _text(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")

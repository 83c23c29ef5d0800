"""A folder with all tables and figures of a spec, and an index that shows them.

Owns its names, and what may be replaced: only what an earlier report has written. It appears whole
or not at all. Draws nothing itself.
"""

from __future__ import annotations

import errno
import inspect
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.artifacts.atomic import whole_folder
from runner.core.errors import DiskFull, UsageError
from runner.core.text import printable
from runner.report.figures.options import as_file_part
from runner.report.figures.page import save, style
from runner.report.figures.rendering import DrawnFigure
from runner.report.folder_names import FIGURES, INDEX, MANIFEST, TABLES
from runner.report.tables.declared import TableRef
from runner.report.tables.markup import markdown_text
from runner.report.tables.render import csv_text, even_rows, render
from runner.report.tables.table import TableData
from runner.spec.figures.declared import DeclaredFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE_FORMATS = {".md": "markdown", ".csv": "csv", ".tex": "latex"}
FIGURE_SUFFIXES = (".png", ".pdf")
LONGEST_PART = 80
"""Characters of a name that come from labels and settings."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A table or figure of a report.

    Attributes:
        kind: ``table`` or ``figure``.
        name: as declared.
        files: relative to the folder; none of a figure that could not be drawn.
        missing: what it lacks, in words.
        by_run: whether `run` makes any of that.
    """

    kind: str
    name: str
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    by_run: bool = False


class NotDrawn(Exception):
    """Why a figure cannot be drawn, of which a report says so.

    Attributes:
        by_run: whether `run` makes what it lacks.
    """

    def __init__(self, why: str, by_run: bool = False) -> None:
        super().__init__(why)
        self.by_run = by_run


@dataclass
class ReportWriter:
    """Writes tables and figures into a folder, and at last its index.

    Attributes:
        folder: which is not in its place yet.
        title: of the index.
        about: what the spec says of itself.
        command: makes what is missing.
    """

    folder: Path
    title: str
    about: str
    command: str
    entries: list[Entry] = field(default_factory=list)
    _sections: list[tuple[str, str]] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def add_table(self, ref: TableRef, data: TableData) -> None:
        """Write a table in every format."""
        name = as_file_part(ref.table.name)[:LONGEST_PART] or "table"
        stem = self._free(f"{TABLES}/{name}", TABLE_FORMATS)
        files = tuple(f"{stem}{suffix}" for suffix in TABLE_FORMATS)
        for file, form in zip(files, TABLE_FORMATS.values(), strict=True):
            self._write(file, render(data, form))
        lacking = [
            row
            for row in data.rows
            if any(entry.count < entry.runs for entry in row.entries.values() if entry.runs)
        ]
        missing = (f"{len(lacking)} of {len(data.rows)} rows are not complete",) if lacking else ()
        by_run = any(row.statuses["diverged"] < row.runs for row in lacking)
        self.entries.append(Entry("table", ref.table.name, files, missing, by_run))
        about = ref.table.about if ref.table.about != self.about else ""
        links = ", ".join(f"[{_format(file)}]({file})" for file in files)
        body = [*_text(about), render(data, "markdown").rstrip(), links, *map(_text_line, missing)]
        self._sections.append((ref.table.name, "\n\n".join(body)))

    def add_figure(self, figure: DeclaredFigure, drawn: DrawnFigure) -> None:
        """Write the pages of a figure, one after the other, and the numbers that it is of.

        Raises:
            NotDrawn: from the pages; nothing of the figure is left.
        """
        files: list[str] = []
        shown: list[str] = []
        try:
            for part, page in drawn.pages:
                name = "-".join(each for each in (figure.name, part[:LONGEST_PART]) if each)
                stem = self._free(f"{FIGURES}/{name}", FIGURE_SUFFIXES)
                for suffix in FIGURE_SUFFIXES:
                    files.append(f"{stem}{suffix}")
                    self._save(page, files[-1])
                page.clear()
                shown.append(f"![{markdown_text(name)}]({stem}{FIGURE_SUFFIXES[0]})")
        except NotDrawn:
            for file in files:
                (self.folder / file).unlink(missing_ok=True)
            raise
        if drawn.values:
            file = f"{self._free(f'{FIGURES}/{figure.name}', ['.csv'])}.csv"
            self._write(file, csv_text(even_rows(drawn.values)))
            files.append(file)
        missing = tuple(f"{cell.name}: {cell.left_out}" for cell in drawn.cells if cell.left_out)
        by_run = any(cell.by_run for cell in drawn.cells if cell.left_out)
        self.entries.append(Entry("figure", figure.name, tuple(files), missing, by_run))
        links = ", ".join(
            f"[{_format(file)}]({file})" for file in files if not file.endswith(FIGURE_SUFFIXES[0])
        )
        left_out = [f"left out: {each}" for each in missing]
        body = [*_text(_caption(figure)), *shown, links, *map(_text_line, left_out)]
        self._sections.append((figure.name, "\n\n".join(body)))

    def leave_out(self, figure: DeclaredFigure, error: NotDrawn) -> None:
        """Note a figure that cannot be drawn."""
        why = str(error).removeprefix(f"figure {figure.name}: ")
        self.entries.append(Entry("figure", figure.name, (), (why,), error.by_run))
        body = [*_text(_caption(figure)), _text_line(f"left out: {why}")]
        self._sections.append((figure.name, "\n\n".join(body)))

    def finish(self) -> None:
        """Write the index and the list of what was written."""
        parts = [f"# {markdown_text(self.title)}", *_text(self.about)]
        if any(entry.by_run for entry in self.entries):
            parts.append(f"Something is missing, which this makes:\n\n    {self.command}")
        for kind, title in (("table", "Tables"), ("figure", "Figures")):
            own = [
                section
                for section, entry in zip(self._sections, self.entries, strict=True)
                if entry.kind == kind
            ]
            parts += [f"## {title}"] if own else []
            parts += [f"### {markdown_text(name)}\n\n{body}" for name, body in own]
        self._write(INDEX, "\n\n".join(parts) + "\n")
        files = sorted([INDEX, *(file for entry in self.entries for file in entry.files)])
        content = {"format": 1, "report": self.title, "files": files}
        self._write(MANIFEST, json.dumps(content, indent=2) + "\n")

    def _free(self, stem: str, suffixes: Iterable[str]) -> str:
        """Return a name that no file has, on disks without regard to case either."""
        found, number = stem, 2
        while any(f"{found}{suffix}".casefold() in self._names for suffix in suffixes):
            found, number = f"{stem}-{number}", number + 1
        self._names.update(f"{found}{suffix}".casefold() for suffix in suffixes)
        return found

    def _save(self, page: Figure, file: str) -> None:
        try:
            with style():
                save(page, self.folder / file)
        except ValueError as error:  # of matplotlib: too large, a text that it cannot set
            raise NotDrawn(str(error)) from error

    def _write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


@contextmanager
def writing_report(place: Path, title: str, about: str, command: str) -> Iterator[ReportWriter]:
    """Give a writer while entered; the folder takes its place at the end.

    Args:
        place: as :func:`check_place` returned it.
        title: of the index.
        about: what the spec says of itself.
        command: makes what is missing.

    Raises:
        DiskFull: when there is no room; nothing is left.
        UsageError: when it cannot be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(place) as partial:
            writer = ReportWriter(partial, title, about, command)
            yield writer
            writer.finish()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(error) from error
        raise UsageError(f"{place} cannot be written: {error.strerror}") from None


def _caption(figure: DeclaredFigure) -> str:
    """Return what a spec says of a figure, else what its kind shows."""
    return figure.settings.about or inspect.cleandoc(type(figure.settings).__doc__ or "")


def _format(file: str) -> str:
    return {".md": "Markdown", ".csv": "CSV", ".tex": "LaTeX"}.get(
        Path(file).suffix, Path(file).suffix[1:].upper()
    )


def _text(text: str) -> list[str]:
    """Return a text of the spec, which may be Markdown, as a paragraph; none of an empty one."""
    return [printable(" ".join(text.split()))] if text.strip() else []


def _text_line(text: str) -> str:
    return markdown_text(" ".join(text.split()))

"""The verb `report --figures`: all tables and figures of a spec in a folder, with an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.commands import run_command
from runner.bind.workspace import Workspace, workspace
from runner.core.errors import DataError, UsageError
from runner.report.tables.declared import TableRef, fill, find_tables
from runner.spec.experiment import Experiment, load_experiment
from runner.spec.variants import variant_choice

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from runner.report.folder import Entry, ReportWriter
    from runner.report.tables.table import TableData


@dataclass(frozen=True, slots=True, repr=False)
class ReportFolder(Framed):
    """A folder with the tables and figures of a spec.

    Attributes:
        path: of the folder.
        entries: each table and figure, with its files and what it lacks.
        refs: the tables.
        command: makes what is missing; "" where something is that no run makes.
    """

    path: Path
    entries: tuple[Entry, ...]
    refs: tuple[TableRef, ...]
    command: str

    @property
    def index(self) -> Path:
        """The file that shows all of it."""
        from runner.report.folder_names import INDEX

        return self.path / INDEX

    @property
    def left_out(self) -> tuple[str, ...]:
        """What tables and figures lack, in words."""
        return tuple(
            f"{entry.kind} {entry.name}: {each}" for entry in self.entries for each in entry.missing
        )

    def frame(self) -> pd.DataFrame:
        """Return a row per table and figure: kind, name, files, missing."""
        import pandas as pd

        rows = [
            (each.kind, each.name, each.files, "; ".join(each.missing)) for each in self.entries
        ]
        return pd.DataFrame(rows, columns=["kind", "name", "files", "missing"])


def write_report(
    spec: str | Path,
    folder: str | Path,
    db: str | Path | None = None,
    variant: str = "",
    data: str | Path | None = None,
    on_progress: Callable[[int, int], Any] = lambda done, total: None,
) -> ReportFolder:
    """Write every table and figure that a spec declares into a folder, with an index.

    The folder appears whole, or stays as it was. What cannot be drawn is named in the index.

    Args:
        spec: a spec file; its tables and figures as they are now.
        folder: a new one, an empty one, or an earlier report, which is replaced.
        db: the database; results.db when not given.
        variant: which variant's runs are shown.
        data: where data sets are looked for, of figures that need them.
        on_progress: hears how many tables and figures are done, of how many; what it raises ends
            all of it.

    Raises:
        SpecError: for a wrong spec.
        UsageError: when nothing of the spec was run, or the folder holds anything else.
        DiskFull: when there is no room.
    """
    from runner.report.folder import writing_report
    from runner.report.folder_names import MANIFEST
    from runner.report.own_folder import check_place

    place = check_place(Path(folder), MANIFEST, "report")
    profile, sets = variant_choice(variant)
    experiment = load_experiment(Path(spec), profile, sets)
    home = workspace(db, data)
    command = run_command(spec, profile, sets, db)
    with home.open(create=False) as database:
        try:
            refs = find_tables(database, None, spec, variant)
        except UsageError as error:  # nothing of it was run
            hint, nearest = error.hint or command, error.suggestion
            raise UsageError(
                error.found, allowed=error.allowed, hint=hint, suggestion=nearest
            ) from None
        tables = [fill(database, ref) for ref in refs]
    title = f"{experiment.name} [{variant}]" if variant else experiment.name
    with writing_report(place, title, experiment.about, command) as writer:
        _write(writer, experiment, list(zip(refs, tables, strict=True)), home, on_progress)
    missing = [entry for entry in writer.entries if entry.missing]
    if missing and not any(entry.by_run for entry in missing):
        command = ""
    return ReportFolder(Path(folder), tuple(writer.entries), tuple(refs), command)


def _write(
    writer: ReportWriter,
    experiment: Experiment,
    tables: list[tuple[TableRef, TableData]],
    home: Workspace,
    on_progress: Callable[[int, int], Any],
) -> None:
    from runner.report.figures.rendering import draw_figure
    from runner.report.folder import NotDrawn

    total = len(tables) + len(experiment.figures)
    on_progress(0, total)
    for ref, data in tables:
        writer.add_table(ref, data)
        on_progress(len(writer.entries), total)
    for figure in experiment.figures:
        try:
            with _drawing():
                drawn = draw_figure(experiment, figure, experiment.cells, home, writer.command)
            writer.add_figure(figure, replace(drawn, pages=_one_by_one(drawn.pages)))
        except NotDrawn as error:
            writer.leave_out(figure, error)
        on_progress(len(writer.entries), total)


def _one_by_one(pages: Iterable[tuple[str, Figure]]) -> Iterator[tuple[str, Figure]]:
    """Yield pages; what goes wrong as one is drawn is NotDrawn, unlike what does as it is saved."""
    waiting = iter(pages)
    while True:
        with _drawing():
            page = next(waiting, None)
        if page is None:
            return
        yield page
        del page


@contextmanager
def _drawing() -> Iterator[None]:
    """Turn what one figure cannot be drawn for into NotDrawn: the others are."""
    from runner.report.figures.cells import is_made_by_run
    from runner.report.folder import NotDrawn

    try:
        yield
    except (UsageError, DataError) as error:
        raise NotDrawn(error.found, is_made_by_run(error)) from error
    except (OSError, ValueError) as error:  # of reading what it shows, or of matplotlib
        raise NotDrawn(str(error)) from error

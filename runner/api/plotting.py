"""The verb `plot`: which cells, which figure, which file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.cell_filter import select_cells
from runner.bind.commands import run_command
from runner.bind.workspace import workspace
from runner.report.figures.cells import FigureCell
from runner.report.figures.options import PlotOptions, asked_figure, figure_path
from runner.spec.experiment import load_experiment

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class RenderedFigure(Framed):
    """A figure, on one page or more.

    Attributes:
        figures: each page as matplotlib has it, by its file.
        cells: how much of each selected cell it shows.
        command: makes what was left out; "" where no run does.
        rows: the numbers of the analysis that it draws.
        notes: what should be said about the files.
    """

    figures: Mapping[Path, Figure]
    cells: tuple[FigureCell, ...]
    command: str
    rows: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def figure(self) -> Figure:
        """The first page."""
        return next(iter(self.figures.values()))

    @property
    def path(self) -> Path:
        """The file of the first page."""
        return next(iter(self.figures))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file of each page."""
        return tuple(self.figures)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The cells or seeds without a result, in words."""
        return tuple(f"{cell.name} ({cell.left_out})" for cell in self.cells if cell.left_out)

    def frame(self) -> pd.DataFrame:
        """Return a row per selected cell: cell, seeds, drawn (how many of them), left_out (why)."""
        import pandas as pd

        rows = [(cell.name, cell.seeds, cell.drawn, cell.left_out) for cell in self.cells]
        return pd.DataFrame(rows, columns=["cell", "seeds", "drawn", "left_out"])

    def values(self) -> pd.DataFrame:
        """Return the numbers of the analysis that it draws, a row each; none of other figures."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))


def plot(spec: str | Path, kind: str = "sheet", **options: Any) -> RenderedFigure:
    """Draw a figure of a spec into its file, or files.

    Args:
        spec: a spec file; its cells as they are now.
        kind: the name of a figure of the spec, or a kind of figures.
        options: others of :class:`PlotOptions`.

    Raises:
        SpecError: for a wrong spec, or a metric or an analysis that it does not have.
        UsageError: for wrong options, when nothing was run, or a path that cannot be written.
        DiskFull: when there is no room for the file.
    """
    figure = draw(spec, PlotOptions(kind, **options))
    return replace(figure, notes=tuple(save_figure(figure)))


def draw(spec: str | Path, options: PlotOptions) -> RenderedFigure:
    """Return a figure, not yet saved; see :class:`PlotOptions`."""
    from runner.report.figures.page import check_suffix
    from runner.report.figures.rendering import draw_figure

    experiment = load_experiment(Path(spec), options.profile, options.sets)
    figure = asked_figure(experiment, options)
    if options.out is not None:
        check_suffix(Path(options.out))
    selected = select_cells(experiment.cells, options.only)
    command = run_command(spec, options.profile, options.sets, options.db)
    home = workspace(options.db, options.data)
    drawn = draw_figure(experiment, figure, selected, home, command)
    path = figure_path(experiment, options, drawn.x)
    pages = {
        path.with_stem(f"{path.stem}-{part}") if part else path: page for part, page in drawn.pages
    }
    left_out = [cell for cell in drawn.cells if cell.left_out]
    if left_out and not any(cell.by_run for cell in left_out):
        command = ""
    return RenderedFigure(pages, drawn.cells, command, drawn.values)


def save_figure(figure: RenderedFigure) -> list[str]:
    """Write the pages of a figure to their files and return what should be said about that.

    Raises:
        UsageError: for a path that cannot be written.
        DiskFull: when there is no room for it.
    """
    from runner.report.figures.page import save, style

    with style(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path, page in figure.figures.items():
            save(page, path)
    lacks = "some characters of the names are not in the font and appear as boxes"
    return [lacks] if any("missing from" in str(warning.message) for warning in caught) else []

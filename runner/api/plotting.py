"""The verb `plot`: which cells, which figure, which file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.cell_filter import select_cells
from runner.bind.commands import run_command
from runner.bind.workspace import workspace
from runner.report.figures.cells import FigureCell, cells_of, figure_names, shown_cells
from runner.report.figures.options import OF_IMAGES, PlotOptions, check_options, figure_path
from runner.spec.experiment import load_experiment

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class RenderedFigure(Framed):
    """A figure.

    Attributes:
        figure: as matplotlib has it.
        path: its file.
        cells: how much of each selected cell it shows.
        command: makes what was left out.
        notes: what should be said about the file.
    """

    figure: Figure
    path: Path
    cells: tuple[FigureCell, ...]
    command: str
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """The cells or seeds without a result, in words."""
        return tuple(f"{cell.name} ({cell.left_out})" for cell in self.cells if cell.left_out)

    def frame(self) -> pd.DataFrame:
        """Return a row per selected cell: cell, seeds, drawn (how many of them), left_out (why)."""
        import pandas as pd

        rows = [(cell.name, cell.seeds, cell.drawn, cell.left_out) for cell in self.cells]
        return pd.DataFrame(rows, columns=["cell", "seeds", "drawn", "left_out"])


def plot(spec: str | Path, kind: str = "sheet", **options: Any) -> RenderedFigure:
    """Draw a figure of a spec into its file.

    Args:
        spec: a spec file; its cells as they are now.
        kind: of figure.
        options: others of :class:`PlotOptions`.

    Raises:
        SpecError: for a wrong spec, or a metric that its runs do not have.
        UsageError: for wrong options, when nothing was run, or a path that cannot be written.
        DiskFull: when there is no room for the file.
    """
    figure = draw(spec, PlotOptions(kind, **options))
    return replace(figure, notes=tuple(save_figure(figure)))


def draw(spec: str | Path, options: PlotOptions) -> RenderedFigure:
    """Return a figure, not yet saved; see :class:`PlotOptions`."""
    from runner.report.figures.kinds import FIGURES, figure_function
    from runner.report.figures.page import check_suffix, style
    from runner.report.figures.requests import results_request, samples_request

    check_options(options, tuple(FIGURES))
    experiment = load_experiment(Path(spec), options.profile, options.sets)
    if options.out is not None:
        check_suffix(Path(options.out))
    selected = select_cells(experiment.cells, options.only)
    command = run_command(spec, options.profile, options.sets, options.db)
    if options.kind in OF_IMAGES:
        home = workspace(options.db, options.data)
        request = samples_request(experiment, selected, options, home)
        with style():
            figure = figure_function(options.kind)(request)
        augmented = [item for item in selected if item.settings.train.augment is not None]
        cells = cells_of(augmented, figure_names(experiment.cells, experiment.name))
        return RenderedFigure(figure, figure_path(experiment, options), cells, command)
    with workspace(options.db).open(create=False) as database:
        shown, cells = shown_cells(database, experiment, selected, command)
        request = results_request(database, experiment, shown, options)
        with style():
            figure = figure_function(options.kind)(request)
    return RenderedFigure(figure, figure_path(experiment, options, request.x), cells, command)


def save_figure(figure: RenderedFigure) -> list[str]:
    """Write a figure to its file and return what should be said about that.

    Raises:
        UsageError: for a path that cannot be written.
        DiskFull: when there is no room for it.
    """
    from runner.report.figures.page import save, style

    with style(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        save(figure.figure, figure.path)
    lacks = "some characters of the names are not in the font and appear as boxes"
    return [lacks] if any("missing from" in str(warning.message) for warning in caught) else []

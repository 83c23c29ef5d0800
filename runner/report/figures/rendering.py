"""Draws a figure of an experiment, whatever it shows: recorded runs, analyses, or the data.

Owns the pages of a figure and what is left out of it. Writes no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.bind.workspace import Workspace
from runner.core.errors import UsageError
from runner.report.figures.analysis_requests import arrays_request, robustness_request
from runner.report.figures.cells import FigureCell, cells_of, figure_names, shown_cells
from runner.report.figures.kinds import FIGURES, draw_pages
from runner.report.figures.page import style
from runner.report.figures.requests import results_request, samples_request
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment
from runner.spec.figures.checks import admits
from runner.spec.figures.declared import DeclaredFigure
from runner.spec.figures.kinds import AugmentationsFigure, OfAnalysis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from runner.spec.tables.column import Column
    from runner.store.database import Database


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFigure:
    """A figure, not yet in a file.

    Attributes:
        pages: at least one, each with what tells its file apart, "" for the only one. Those of
            arrays are drawn as they are asked for, once: what then goes wrong is raised there.
        cells: how much of each cell it shows.
        values: the numbers of an analysis, a row each.
        x: the setting on its x axis, or None.
    """

    pages: Iterable[tuple[str, Figure]]
    cells: tuple[FigureCell, ...]
    values: tuple[Mapping[str, Any], ...] = ()
    x: Column | None = None


def draw_figure(
    experiment: Experiment,
    figure: DeclaredFigure,
    selected: Sequence[ResolvedCell],
    home: Workspace,
    command: str,
) -> DrawnFigure:
    """Return a figure of an experiment.

    Args:
        experiment: whose it is.
        figure: what is drawn.
        selected: the cells that may be shown; its `only` chooses among them.
        home: where database, data and `.runner/` are.
        command: makes what is missing.

    Raises:
        UsageError: when there is nothing to draw, or too much.
        SpecError: for a metric that the runs do not have, missing data.
        DataError: for data that cannot be read.
    """
    chosen = [item for item in selected if admits(figure, item.cell)]
    if not chosen:
        found = f"figure {figure.name}: its `only` admits none of the chosen cells"
        raise UsageError(found, hint="choose others")
    if isinstance(figure.settings, AugmentationsFigure):
        request = samples_request(experiment, chosen, figure, home)
        with style():
            pages = draw_pages(figure.kind, request)
        augmented = [item for item in chosen if item.settings.train.augment is not None]
        names = figure_names(experiment.cells, experiment.name)
        return DrawnFigure(pages, cells_of(augmented, names))
    with home.open(create=False) as database:
        return _of_runs(database, experiment, figure, chosen, home, command)


def _of_runs(
    database: Database,
    experiment: Experiment,
    figure: DeclaredFigure,
    chosen: Sequence[ResolvedCell],
    home: Workspace,
    command: str,
) -> DrawnFigure:
    shown, cells = shown_cells(database, experiment, chosen, command)
    request = results_request(database, experiment, shown, figure)
    values: tuple[Mapping[str, Any], ...] = ()
    if isinstance(figure.settings, OfAnalysis):
        if FIGURES[figure.kind].of_arrays:
            has_seeds = len({item.cell.seed for item in experiment.cells}) > 1
            found = arrays_request(request, cells, figure, home, command, has_seeds)
        else:
            found = robustness_request(request, cells, figure, home, command)
        cells, values = found.cells, found.values
        request = replace(found.request, said=_said(figure, experiment))
    with style():
        pages = draw_pages(figure.kind, request)
    return DrawnFigure(_styled(pages), cells, values, request.x)


def _said(figure: DeclaredFigure, experiment: Experiment) -> str:
    """Return the name of the analysis for titles, "" where the spec has no other of its kind."""
    assert figure.analysis is not None
    kinds = [each.settings.kind for each in experiment.analyses.values()]
    several = kinds.count(figure.analysis.settings.kind) > 1
    return f", {figure.analysis.name}" if several else ""


def _styled(pages: Iterable[tuple[str, Figure]]) -> Iterator[tuple[str, Figure]]:
    """Yield pages, each drawn in the style of all figures, which does not last beyond it."""
    waiting = iter(pages)
    while True:
        with style():
            page = next(waiting, None)
        if page is None:
            return
        yield page
        del page  # the next one is drawn without it

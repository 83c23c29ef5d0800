"""From what a figure is asked for to what is drawn: the rows, columns and images that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.bind.workspace import Workspace
from runner.report.figures.augmented import sample_groups
from runner.report.figures.cells import figure_names
from runner.report.figures.figure_request import FigureRequest, ShownCell
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment
from runner.spec.figures.declared import DeclaredFigure
from runner.spec.figures.kinds import AugmentationsFigure, WithLosses
from runner.spec.figures.setting import setting_table
from runner.spec.metrics import stored_names
from runner.store.database import Database


def samples_request(
    experiment: Experiment,
    selected: Sequence[ResolvedCell],
    figure: DeclaredFigure,
    workspace: Workspace,
) -> FigureRequest:
    """Return the request for a figure of augmented images; the data is looked for and read."""
    assert isinstance(figure.settings, AugmentationsFigure)
    names = figure_names(experiment.cells, experiment.name)
    groups = sample_groups(experiment, selected, names, workspace, figure.settings.images)
    return FigureRequest(None, experiment.name, experiment.variant, (), samples=groups)


def results_request(
    database: Database,
    experiment: Experiment,
    cells: tuple[ShownCell, ...],
    figure: DeclaredFigure,
) -> FigureRequest:
    """Return the request for a figure of recorded runs."""
    request = FigureRequest(database, experiment.name, experiment.variant, cells)
    asked = figure.settings
    if isinstance(asked, WithLosses):
        return replace(request, per=asked.per, window=asked.smooth)
    if asked.kind != "setting":
        return request
    settings = {item.cell.settings_key: item.settings for item in experiment.cells}
    shown = [settings[cell.cell.settings_key] for cell in cells]
    own = stored_names(experiment.metrics)
    x, table = setting_table([cell.cell for cell in cells], shown, figure, own)
    return replace(request, x=x, table=table)

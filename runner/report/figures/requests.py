"""From what a figure is asked for to what is drawn: the rows, columns and images that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.bind.workspace import Workspace
from runner.report.figures.augmented import sample_groups
from runner.report.figures.cells import figure_names
from runner.report.figures.columns import setting_table
from runner.report.figures.curves import FigureRequest, ShownCell
from runner.report.figures.options import PlotOptions
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment
from runner.store.database import Database

NUM_IMAGES = 3
"""Of a data set, in a figure of augmented images."""


def samples_request(
    experiment: Experiment,
    selected: Sequence[ResolvedCell],
    options: PlotOptions,
    workspace: Workspace,
) -> FigureRequest:
    """Return the request for a figure of augmented images; the data is looked for and read."""
    names = figure_names(experiment.cells, experiment.name)
    groups = sample_groups(experiment, selected, names, workspace, options.images or NUM_IMAGES)
    return FigureRequest(None, experiment.name, experiment.variant, (), samples=groups)


def results_request(
    database: Database,
    experiment: Experiment,
    cells: tuple[ShownCell, ...],
    options: PlotOptions,
) -> FigureRequest:
    """Return the request for a figure of recorded runs."""
    request = FigureRequest(
        database,
        experiment.name,
        experiment.variant,
        cells,
        "step" if options.per == "step" else "epoch",
        options.smooth,
    )
    if options.kind != "setting":
        return request
    settings = {item.cell.settings_key: item.settings for item in experiment.cells}
    shown = [settings[cell.cell.settings_key] for cell in cells]
    x, table = setting_table(
        [cell.cell for cell in cells], shown, options.x, options.metrics, options.at or "best"
    )
    return replace(request, x=x, table=table)

"""The verb `plot`: which cells, which figure, which file."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.cell_filter import select_cells
from runner.bind.workspace import DEFAULT_DATABASE, REFERENCE, workspace
from runner.core.errors import UsageError, nearest
from runner.report.figures.cells import FigureCell, cells_of, figure_names, shown_cells
from runner.spec.experiment import Experiment, ResolvedCell, load_experiment
from runner.store.database import Database

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from runner.report.figures.curves import FigureRequest, ShownCell
    from runner.spec.tables.table import Column

FOLDER = Path("figures")
NUM_IMAGES = 3
"""Of a data set, in a figure of augmented images."""

OF_IMAGES = ("augmentations",)
"""Figures that need the data and no results."""

OPTIONS_OF = {
    "per": ("sheet", "loss", "curves"),
    "smooth": ("sheet", "loss", "curves"),
    "x": ("setting",),
    "metric": ("setting",),
    "at": ("setting",),
    "images": ("augmentations",),
}
"""Which kinds an option is for."""


@dataclass(frozen=True)
class PlotOptions:
    """What a figure is asked for.

    Attributes:
        kind: sheet, loss, accuracy, curves or setting, of recorded runs; or augmentations, which
            needs the data instead.
        only: label texts, ``label=text`` or ``setting=value``.
        profile: name of a profile.
        sets: ``setting=value`` options.
        per: ``step`` or ``epoch``, for losses; epoch when not given.
        smooth: steps whose losses are averaged into one point; so many that about 150 points
            remain when not given.
        x: the setting or label on the x axis of `setting`; the only one that varies when not given.
        metrics: metrics or formulas of `setting`; accuracies and their gap when not given.
        at: best, last, min, max or an epoch, as in tables; best when not given.
        images: how many images `augmentations` shows of a data set; 3 when not given.
        out: the file, .png, .svg or .pdf; in the folder ``figures`` when not given.
        db: the database; results.db when not given.
        data: folder in which the data of `augmentations` is looked for.
    """

    kind: str = "sheet"
    only: Sequence[str] = ()
    profile: str | None = None
    sets: Sequence[str] = ()
    per: str | None = None
    smooth: int | None = None
    x: str | None = None
    metrics: Sequence[str] = ()
    at: str | None = None
    images: int | None = None
    out: str | Path | None = None
    db: str | Path | None = None
    data: str | Path | None = None


@dataclass(frozen=True, repr=False)
class RenderedFigure(Framed):
    """A figure.

    Attributes:
        figure: as matplotlib has it.
        path: its file.
        cells: how much of each chosen cell it shows.
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
        """Return a row per chosen cell: cell, seeds, drawn (how many of them), left_out (why)."""
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
        UsageError: for wrong options, when nothing was run, or a place that cannot be written.
        DiskFull: when there is no room for the file.
    """
    figure = draw(spec, PlotOptions(kind, **options))
    return replace(figure, notes=tuple(save_figure(figure)))


def draw(spec: str | Path, options: PlotOptions) -> RenderedFigure:
    """Return a figure, not yet saved; see :class:`PlotOptions`."""
    from runner.report.figures.kinds import FIGURES, figure_function
    from runner.report.figures.page import check_suffix, style

    _check_options(options, tuple(FIGURES))
    experiment = load_experiment(Path(spec), options.profile, options.sets)
    if options.out is not None:
        check_suffix(Path(options.out))
    chosen = select_cells(experiment.cells, options.only)
    command = _run_command(spec, options)
    if options.kind in OF_IMAGES:
        with style():
            figure = figure_function(options.kind)(_samples(experiment, chosen, options))
        augmented = [item for item in chosen if item.settings.train.augment is not None]
        cells = cells_of(augmented, figure_names(experiment.cells, experiment.name))
        return RenderedFigure(figure, _path(experiment, options), cells, command)
    with workspace(options.db).open(create=False) as database:
        shown, cells = shown_cells(database, experiment, chosen, command)
        request = _request(database, experiment, shown, options)
        with style():
            figure = figure_function(options.kind)(request)
    return RenderedFigure(figure, _path(experiment, options, request.x), cells, command)


def save_figure(figure: RenderedFigure) -> list[str]:
    """Write a figure to its file and return what should be said about that.

    Raises:
        UsageError: for a place that cannot be written.
        DiskFull: when there is no room for it.
    """
    from runner.report.figures.page import save, style

    with style(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        save(figure.figure, figure.path)
    lacks = "some characters of the names are not in the font and appear as boxes"
    return [lacks] if any("missing from" in str(each.message) for each in caught) else []


def _check_options(options: PlotOptions, kinds: Sequence[str]) -> None:
    if options.kind not in kinds:
        raise _unknown("figure", options.kind, kinds)
    given = {
        "per": options.per,
        "smooth": options.smooth,
        "x": options.x,
        "metric": options.metrics or None,
        "at": options.at,
        "images": options.images,
    }
    for name, value in given.items():
        if value is not None and options.kind not in OPTIONS_OF[name]:
            allowed = ", ".join(OPTIONS_OF[name])
            found = f"--{name} is not for the figure '{options.kind}'"
            raise UsageError(found, allowed=allowed)
    if options.per not in (None, "step", "epoch"):
        raise _unknown("--per", str(options.per), ("step", "epoch"))
    if options.smooth is not None and options.per != "step":
        raise UsageError("--smooth averages the losses of steps", hint="give --per step as well")


def _unknown(what: str, word: str, allowed: Sequence[str]) -> UsageError:
    return UsageError(
        f"unknown {what} '{word}'", allowed=", ".join(allowed), suggestion=nearest(word, allowed)
    )


def _path(experiment: Experiment, options: PlotOptions, x: Column | None = None) -> Path:
    """Return the file; by default one for each experiment, variant, figure and x axis."""
    from runner.report.figures.axis_titles import x_name

    if options.out is not None:
        return Path(options.out)
    variant, axis = _plain(experiment.variant), "" if x is None else _plain(x_name(x))
    name = "-".join(part for part in (experiment.name, variant, options.kind, axis) if part)
    return FOLDER / f"{name}.png"


def _plain(text: str) -> str:
    """Return a text as part of a file's name: letters of any script, digits, few signs."""
    return re.sub(r"[^\w.=]+", "-", text).strip("-")


def _run_command(spec: str | Path, options: PlotOptions) -> str:
    words = ["runner", "run", str(spec)]
    words += [] if options.profile is None else ["--profile", options.profile]
    for option in options.sets:
        words += ["--set", option]
    # results are never added to the reference
    if workspace(options.db).database_path not in (DEFAULT_DATABASE, REFERENCE):
        words += ["--db", str(options.db)]
    return shlex.join(words)


def _samples(
    experiment: Experiment, chosen: Sequence[ResolvedCell], options: PlotOptions
) -> FigureRequest:
    from runner.report.figures.augmented import sample_groups
    from runner.report.figures.curves import FigureRequest

    place = workspace(options.db, options.data)
    names = figure_names(experiment.cells, experiment.name)
    groups = sample_groups(experiment, chosen, names, place, options.images or NUM_IMAGES)
    return FigureRequest(None, experiment.name, experiment.variant, (), samples=groups)


def _request(
    database: Database,
    experiment: Experiment,
    cells: tuple[ShownCell, ...],
    options: PlotOptions,
) -> FigureRequest:
    from runner.report.figures.curves import FigureRequest

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
    from runner.report.figures.columns import setting_table

    settings = {item.cell.settings_key: item.settings for item in experiment.cells}
    shown = [settings[cell.cell.settings_key] for cell in cells]
    x, table = setting_table(
        [cell.cell for cell in cells], shown, options.x, options.metrics, options.at or "best"
    )
    return replace(request, x=x, table=table)

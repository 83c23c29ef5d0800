"""What figures of analyses show of recorded runs: their arrays, or their numbers.

Owns which of a cell's runs is shown, and what is said of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.bind.kept_analyses import ONLY_TRAINING, KeptAnalysis, can_be_made, kept_analysis
from runner.bind.workspace import Workspace
from runner.components.analyses.analysis import AnalysisSettings
from runner.core.errors import DataError, UsageError
from runner.report.figures.cells import FigureCell, is_made_by_run
from runner.report.figures.figure_request import AnalysedRun, FigureRequest, ShownCell
from runner.report.figures.options import as_file_part
from runner.spec.figures.declared import DeclaredFigure
from runner.spec.figures.kinds import PredictionsFigure, RobustnessFigure
from runner.store.analyses import values_of_runs
from runner.store.cell_results import CellResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

Read = Callable[[], Mapping[str, "NDArray[Any]"]]

MOST_RUNS = 24
"""Runs whose arrays one figure shows, on a page or more each."""


@dataclass(frozen=True)
class FoundAnalysis:
    """What an analysis left of the chosen cells.

    Attributes:
        request: for the figure.
        cells: how much of each it shows.
        values: a row for each number: cell, seed, name, value, and its dimensions.
    """

    request: FigureRequest
    cells: tuple[FigureCell, ...]
    values: tuple[dict[str, object], ...]


def robustness_request(
    request: FigureRequest,
    cells: Sequence[FigureCell],
    figure: DeclaredFigure,
    home: Workspace,
    command: str,
) -> FoundAnalysis:
    """Return the request for a figure of robustness, of the cells that have its numbers.

    Args:
        request: of the cells.
        cells: the same and those without a result.
        figure: what is drawn.
        home: where weights lie.
        command: makes what is missing.

    Raises:
        UsageError: when none has.
    """
    from runner.report.figures.robustness import MOST_CELLS, measure

    assert isinstance(figure.settings, RobustnessFigure)
    assert figure.analysis is not None
    settings = figure.analysis.settings
    request, cells = _limited(request, cells, figure, MOST_CELLS)
    done = {
        result.run_key: result.rerun or 0
        for cell in request.cells
        for result in cell.results
        if result.status == "done"
    }
    assert request.database is not None
    found = values_of_runs(request.database, done, figure.analysis.key)
    made = {
        cell.name: [found[each.run_key] for each in cell.results if each.run_key in found]
        for cell in request.cells
    }
    by_run = {
        cell.name: any(
            can_be_made(request.database, home, each.run_key, each.rerun or 0, settings)
            for each in cell.results
            if each.run_key in done and each.run_key not in found
        )
        for cell in request.cells
    }
    told = tuple(
        _told(each, len(made[each.name]), by_run[each.name]) if each.name in made else each
        for each in cells
    )
    shown = tuple(cell for cell in request.cells if made[cell.name])
    if not shown:
        raise _nothing(figure, command if any(by_run.values()) else ONLY_TRAINING)
    places = settings.places() or ()
    measured = {
        cell.position: measure(places, figure.settings.metrics, made[cell.name]) for cell in shown
    }
    values = [
        {"cell": cell.name, "name": metric, "severity": severity, "transform": transform}
        | {"mean": entry.value, "std": entry.std, "seeds": entry.count}
        for cell in shown
        for metric, transforms in measured[cell.position].items()
        for transform, severities in transforms.items()
        for severity, entry in severities.items()
    ]
    request = replace(request, cells=shown, analysis=figure.analysis, measured=measured)
    return FoundAnalysis(request, told, tuple(values))


def _told(cell: FigureCell, made: int, by_run: bool) -> FigureCell:
    """Return a cell of which an analysis was made of so many seeds.

    Args:
        cell: with the seeds that have a result.
        made: of so many of them.
        by_run: whether `run` makes it of another one.
    """
    if made >= cell.drawn:
        return cell
    why = "the analysis is not made yet" if not made else f"the analysis is made of {made} seeds"
    left_out = "; ".join(each for each in (cell.left_out, why) if each)
    # seeds that have no result are trained by `run`
    return replace(cell, drawn=made, left_out=left_out, by_run=by_run or bool(cell.left_out))


def arrays_request(
    request: FigureRequest,
    cells: Sequence[FigureCell],
    figure: DeclaredFigure,
    home: Workspace,
    command: str,
    has_seeds: bool,
) -> FoundAnalysis:
    """Return the request for a figure of arrays: of each cell, those of the first run that has.

    Args:
        request: of the cells.
        cells: the same and those without a result.
        figure: what is drawn.
        home: where arrays lie.
        command: makes what is missing.
        has_seeds: whether the experiment has several, so that the one shown is named.

    Raises:
        UsageError: when no cell has any, or too many have.
    """
    assert figure.analysis is not None
    request, cells = _limited(request, cells, figure, MOST_RUNS)
    runs: list[AnalysedRun] = []
    values: list[dict[str, object]] = []
    missing: dict[str, KeptAnalysis] = {}
    without_images: dict[str, UsageError | DataError] = {}
    for cell in request.cells:
        result, kept = _first_kept(request, cell, figure.analysis.settings, home)
        if result is None:
            missing[cell.name] = kept
            continue
        seed, read = result.seed, kept.read
        if isinstance(figure.settings, PredictionsFigure):
            pages, why = _with_sheets(request, result.run_key, figure, home, read)
            if why is not None:
                without_images[cell.name] = why
            if pages is None:
                continue
            read = pages
        name = f"{cell.name}, seed {seed}" if has_seeds else cell.name
        name += f", fold {result.fold}" if result.fold else ""
        part = as_file_part(name) if len(request.cells) > 1 else ""
        if any(part == other.part for other in runs):
            part = f"{part}-{cell.position}"
        runs.append(AnalysedRun(name, part, read))
        values += [
            {"cell": cell.name, "seed": seed, "name": each["name"], **each["dims"]}
            | ({"fold": result.fold} if result.fold else {})
            | {"value": each["value"]}
            for each in kept.values
        ]
    if not runs and without_images:
        error = next(iter(without_images.values()))
        raise UsageError(f"figure {figure.name}: no images: {error.found}", hint=error.hint)
    if not runs:
        words = ", ".join(dict.fromkeys(each.missing for each in missing.values()))
        by_run = any(each.by_run for each in missing.values())
        raise _nothing(figure, command if by_run else ONLY_TRAINING, words)
    told = tuple(_told_of_arrays(each, missing, without_images) for each in cells)
    request = replace(request, analysis=figure.analysis, runs=tuple(runs))
    return FoundAnalysis(request, told, tuple(values))


def _limited(
    request: FigureRequest, cells: Sequence[FigureCell], figure: DeclaredFigure, most: int
) -> tuple[FigureRequest, tuple[FigureCell, ...]]:
    """Return what a figure takes; of one that nobody asked for, the first cells.

    Raises:
        UsageError: when there are too many of one that somebody did.
    """
    if len(request.cells) <= most:
        return request, tuple(cells)
    if not figure.is_default:
        found = f"{len(request.cells)} cells; a figure of {figure.kind} shows {most}"
        raise UsageError(found, hint="choose some with --only, or `only` in the spec")
    others = {cell.name for cell in request.cells[most:]}
    why = f"the figure shows the first {most} cells; declare one with `only` for others"
    told = tuple(
        replace(each, drawn=0, left_out=why, by_run=False) if each.name in others else each
        for each in cells
    )
    return replace(request, cells=request.cells[:most]), told


def _told_of_arrays(
    cell: FigureCell,
    missing: Mapping[str, KeptAnalysis],
    without_images: Mapping[str, UsageError | DataError],
) -> FigureCell:
    """Return a cell with what a figure of arrays lacks of it."""
    if cell.name in missing:
        kept = missing[cell.name]
        return replace(cell, drawn=0, left_out=kept.missing, by_run=kept.by_run)
    if (error := without_images.get(cell.name)) is not None:
        drawn, why = min(1, cell.drawn), f"no images: {error.found}"
        return replace(cell, drawn=drawn, left_out=why, by_run=is_made_by_run(error))
    return replace(cell, drawn=min(1, cell.drawn))


def _first_kept(
    request: FigureRequest, cell: ShownCell, settings: AnalysisSettings, home: Workspace
) -> tuple[CellResult | None, KeptAnalysis]:
    """Return what an analysis left of the first seed of a cell that has it, or why none has."""
    assert request.database is not None
    none = KeptAnalysis("no run is done")
    for result in cell.results:
        if result.status != "done":
            continue
        kept = kept_analysis(request.database, home, result.run_key, result.rerun or 0, settings)
        if not kept.missing:
            return result, kept
        none = kept
    return None, none


def _with_sheets(
    request: FigureRequest, run_key: str, figure: DeclaredFigure, home: Workspace, read: Read
) -> tuple[Read | None, UsageError | DataError | None]:
    """Return what reads the arrays of the pages that are asked for, and why there are no images.

    Without images and confusion matrix there is nothing to read.
    """
    from runner.bind.prediction_images import confident_images

    asked, analysis = figure.settings, figure.analysis
    assert isinstance(asked, PredictionsFigure)
    assert analysis is not None
    assert request.database is not None
    split, weights = str(analysis.settings.looks_at()), analysis.settings.weights
    arrays = read()
    shown = {name: array for name, array in arrays.items() if name != "confusion"}
    shown["about"] = np.array([f"{split} images, weights of the {weights} epoch"])
    if "confusion" in asked.show:
        shown["confusion"] = arrays["confusion"]
    kinds, why = [kind for kind in asked.show if kind != "confusion"], None
    try:
        sheets = (
            confident_images(request.database, home, run_key, split, weights, asked.count)
            if kinds
            else {}
        )
    except (UsageError, DataError) as error:
        sheets, why = {}, error
    for kind in sheets.keys() & set(kinds):
        shown |= {f"{kind}_{name}": array for name, array in sheets[kind].items()}
    return (None if why is not None and "confusion" not in asked.show else lambda: shown), why


def _nothing(figure: DeclaredFigure, hint: str, why: str = "not made yet") -> UsageError:
    assert figure.analysis is not None
    found = f"figure {figure.name}: analysis {figure.analysis.name} of no chosen cell is there"
    return UsageError(f"{found} ({why})", hint=hint)

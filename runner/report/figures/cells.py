"""The cells of a figure: which have results, and their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError, UsageError
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment
from runner.store.cell_results import CellResult, cell_results
from runner.store.database import Database
from runner.store.queries import stored_experiments

if TYPE_CHECKING:
    from runner.report.figures.figure_request import ShownCell


@dataclass(frozen=True, slots=True)
class FigureCell:
    """How many of a cell's seeds a figure shows.

    Attributes:
        name: what the figure calls it.
        seeds: how many it has.
        drawn: how many of them are shown.
        left_out: why others are not, or "".
        by_run: whether `run` makes what is left out.
    """

    name: str
    seeds: int
    drawn: int
    left_out: str = ""
    by_run: bool = True


def is_made_by_run(error: RunnerError) -> bool:
    """Return whether `run` makes what an error of drawing lacks, as its hint then says."""
    return "runner run" in error.hint


def shown_cells(
    database: Database, experiment: Experiment, chosen: Sequence[ResolvedCell], command: str
) -> tuple[tuple[ShownCell, ...], tuple[FigureCell, ...]]:
    """Return the cells with results, and for every chosen cell how many of its seeds have one.

    Cells are matched by their settings: labels and order may have changed since they were run.

    Raises:
        UsageError: when none has.
    """
    from runner.report.figures.figure_request import ShownCell

    stored = cell_results(database, experiment.name, experiment.variant)
    by_settings = {result.settings_key: result for result in reversed(stored)}
    names = figure_names(experiment.cells, experiment.name)
    seeds: dict[int, list[ResolvedCell]] = {}
    for item in chosen:
        seeds.setdefault(item.cell.position, []).append(item)
    with_results: list[ShownCell] = []
    cells: list[FigureCell] = []
    for position, items in seeds.items():
        results = [by_settings.get(item.cell.settings_key) for item in items]
        ended = tuple(each for each in results if each and each.status in ("done", "diverged"))
        name = names[position]
        kind = "runs" if items[0].cell.fold else "seeds"
        cells.append(FigureCell(name, len(items), len(ended), _missing(results, kind)))
        if ended:
            with_results.append(
                ShownCell(name, items[0].cell, ended[0].position, ended, len(items))
            )
    if not with_results:
        known = {(each.name, each.variant) for each in stored_experiments(database)}
        is_known = (experiment.name, experiment.variant) in known
        no_result = "no chosen cell has a result" if is_known else "it has not been run"
        raise UsageError(f"{experiment.path}: {no_result}", hint=command)
    return tuple(with_results), tuple(cells)


def _missing(results: Sequence[CellResult | None], kind: str) -> str:
    """Return why some seeds or folds of a cell, which are its runs, are left out, or ""."""
    statuses = Counter("not run" if each is None else each.status for each in results)
    parts = [
        status if len(results) == 1 else f"{count} of {len(results)} {kind} {status}"
        for status, count in statuses.items()
        if status not in ("done", "diverged")
    ]
    return ", ".join(parts)


def cells_of(chosen: Sequence[ResolvedCell], names: Mapping[int, str]) -> tuple[FigureCell, ...]:
    """Return chosen cells of which a figure shows every seed."""
    seeds = Counter(item.cell.position for item in chosen)
    return tuple(FigureCell(names[each], count, count) for each, count in seeds.items())


def figure_names(cells: Iterable[ResolvedCell], experiment: str) -> Mapping[int, str]:
    """Return the name of each position; without a sweep, the experiment's."""
    return {item.cell.position: item.cell.name or experiment for item in cells}

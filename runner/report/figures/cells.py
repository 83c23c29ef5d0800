"""Which cells a figure shows, what they are called, and what has no result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from runner.core.errors import UsageError
from runner.spec.experiment import Experiment, ResolvedCell
from runner.store.database import Database
from runner.store.queries import CellResult, cell_results, stored_experiments

if TYPE_CHECKING:
    from runner.report.figures.curves import ShownCell


def shown_cells(
    database: Database, experiment: Experiment, chosen: Sequence[ResolvedCell], command: str
) -> tuple[tuple[ShownCell, ...], tuple[str, ...]]:
    """Return the cells that have results, and in words those that have none.

    Cells are found by their settings, so that a label may have changed since, or their order.

    Raises:
        UsageError: when none has.
    """
    from runner.report.figures.curves import ShownCell

    stored = cell_results(database, experiment.name, experiment.variant)
    by_settings = {each.settings_key: each for each in reversed(stored)}
    names = figure_names(experiment.cells, experiment.name)
    seeds: dict[int, list[ResolvedCell]] = {}
    for item in chosen:
        seeds.setdefault(item.cell.position, []).append(item)
    shown: list[ShownCell] = []
    left_out: list[str] = []
    for position, items in seeds.items():
        found = [by_settings.get(item.cell.settings_key) for item in items]
        ended = tuple(each for each in found if each and each.status in ("done", "diverged"))
        if missing := _missing(found):
            left_out.append(f"{names[position]} ({missing})")
        if ended:
            name, stored_at = names[position], ended[0].position
            shown.append(ShownCell(name, items[0].cell, stored_at, ended, len(items)))
    if not shown:
        known = {(each.name, each.variant) for each in stored_experiments(database)}
        is_known = (experiment.name, experiment.variant) in known
        found_none = "no chosen cell has a result" if is_known else "it has not been run"
        raise UsageError(f"{experiment.path}: {found_none}\n    {command}")
    return tuple(shown), tuple(left_out)


def _missing(found: Sequence[CellResult | None]) -> str:
    """Return in words why seeds of a cell are left out, or ""."""
    statuses = Counter("not run" if each is None else each.status for each in found)
    parts = [
        status if len(found) == 1 else f"{count} of {len(found)} seeds {status}"
        for status, count in statuses.items()
        if status not in ("done", "diverged")
    ]
    return ", ".join(parts)


def figure_names(cells: Iterable[ResolvedCell], experiment: str) -> Mapping[int, str]:
    """Return what a figure calls each position: its name, or the experiment's without a sweep."""
    return {item.cell.position: item.cell.name or experiment for item in cells}

"""What a figure is asked to draw: cells with their results, and what analyses left of runs.

Owns how titles and axes name it. Reads nothing from the database and draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from runner.components.measures import BY_NAME
from runner.core.run import Cell
from runner.spec.tables.column import Column
from runner.spec.tables.table import Table
from runner.store.cell_results import CellResult
from runner.store.database import Database

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.report.figures.samples import SampleGroup
    from runner.report.tables.table import TableValue
    from runner.spec.analyses import DeclaredAnalysis

Measured: TypeAlias = "Mapping[str, Mapping[str, Mapping[int, TableValue]]]"
"""Of a cell, by metric, transform and severity."""


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell with results to draw.

    Attributes:
        name: what the figure calls it.
        cell: the cell; with several seeds or folds, that of the first.
        position: where the stored experiment has it.
        results: of its runs that are done or diverged.
        runs: how many it has, one for each seed and fold, those without a result included.
    """

    name: str
    cell: Cell
    position: int
    results: tuple[CellResult, ...]
    runs: int

    def drawn(self) -> tuple[CellResult, ...]:
        """The runs that are averaged: those done, or all if none is."""
        done = tuple(each for each in self.results if each.status == "done")
        return done or self.results

    def repeated(self) -> str:
        """What its runs are that are averaged: seeds, folds, or runs where they are both."""
        if not self.cell.fold:
            return "seeds"
        return "folds" if len({each.seed for each in self.results}) == 1 else "runs"

    def has_diverged(self) -> bool:
        """Whether the drawn runs diverged."""
        return all(each.status == "diverged" for each in self.results)

    def counted_name(self) -> str:
        """Return the name, with the count and status of runs that are not in the mean."""
        if self.has_diverged():
            return f"{self.name} (diverged)"
        diverged = sum(each.status == "diverged" for each in self.results)
        left_out = [
            f"{count} {what}"
            for count, what in (
                (diverged, "diverged"),
                (self.runs - len(self.results), "without a result"),
            )
            if count
        ]
        return f"{self.name} ({', '.join(left_out)})" if left_out else self.name


@dataclass(frozen=True, slots=True, eq=False)
class AnalysedRun:
    """What an analysis left of a run.

    Attributes:
        name: what the figure calls the run: its cell, with the seed where there are several.
        part: the same in a file's name, "" where there is one run only.
        read: returns the arrays by name, which nobody holds longer than it draws them.
    """

    name: str
    part: str
    read: Callable[[], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class FigureRequest:
    """What to draw.

    Attributes:
        database: where the curves are; None for a figure without any.
        experiment: its name.
        variant: of it, or "".
        cells: in the order of the spec.
        per: whether losses are drawn by step or by epoch.
        window: steps whose losses are averaged into one point, None for about 150 points.
        x: the setting or label of a figure over a setting.
        table: that figure's metrics, as columns beside ``x``.
        samples: what a figure of augmented images shows.
        analysis: that a figure is of, or None.
        measured: by position of a cell the numbers of an analysis, where the figure is of them.
        runs: what the analysis left of runs, where the figure is of arrays.
        said: the name of the analysis behind a comma, where the spec has several of its kind; "".
    """

    database: Database | None
    experiment: str
    variant: str
    cells: tuple[ShownCell, ...]
    per: Literal["step", "epoch"] = "epoch"
    window: int | None = None
    x: Column | None = None
    table: Table | None = None
    samples: tuple[SampleGroup, ...] = ()
    analysis: DeclaredAnalysis | None = None
    measured: Mapping[int, Measured] = field(default_factory=dict)
    runs: tuple[AnalysedRun, ...] = ()
    said: str = ""

    def title(self, what: str) -> str:
        """Return the title: experiment, variant, ``what``, and the cell if there is only one."""
        variant = f" [{self.variant}]" if self.variant else ""
        only = self.cells[0].counted_name() if len(self.cells) == 1 else ""
        only = "" if only == self.experiment else only
        return f"{self.experiment}{variant}: {what}" + (f"\n{only}" if only else "")

    def axis_label(self, measure: str) -> str:
        """Return a y-axis label with its unit."""
        if measure != "loss":
            return f"{measure.replace('_', ' ')} ({BY_NAME[measure].unit})"
        names = {str(each.cell.settings["train"]["loss"]["name"]) for each in self.cells}
        return f"{', '.join(sorted(names)).replace('_', '-')} loss (nats)"

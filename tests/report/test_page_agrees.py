"""What the page draws is what `plot` draws: the same numbers at the same places, run by run."""

from pathlib import Path
from typing import Any

import pytest
from made_up import HEAD, MadeUp, record_made_up

from runner.api.watching import Watch
from runner.core.run import Cell
from runner.report.figures.cells import shown_cells
from runner.report.figures.curves import CellCurves, CurveReader, Measure
from runner.report.figures.figure_request import FigureRequest
from runner.spec.experiment import Experiment
from runner.store.database import Database

pytestmark = pytest.mark.slow

NAME = ("made_up", "")
GRID = HEAD + "seeds: [0, 1, 2]\nsweep: {grid: {lr: [0.1, 0.01, 0.001]}}\n"


def recipe(cell: Cell) -> MadeUp | None:
    """Seeds that differ in length; at the first position one that diverged, at the second one that
    was never run, at the third only such that diverged."""
    if (cell.position, cell.seed) == (1, 2):
        return None
    unit, length = 0.01 * cell.position + 0.001 * cell.seed, 4 - cell.seed
    diverged = (cell.position, cell.seed) == (0, 1) or cell.position == 2
    return MadeUp(
        {
            "train_loss": [2.0 - unit, 1.5 - unit, 1.0 - unit, 0.5 - unit][:length],
            "val_loss": [2.1 - unit, 1.7 - unit, 1.6 - unit, 1.9 - unit][:length],
            "train_accuracy": [0.3 + unit, 0.5 + unit, 0.7 + unit, 0.9 + unit][:length],
            "val_accuracy": [0.2 + unit, 0.6 + unit, 0.5 + unit, 0.4 + unit][:length],
        },
        steps=[[3.0 + unit, 2.0], [1.9, 1.7], [1.5, 1.3], [1.2, 1.0 + unit]][:length],
        status="diverged" if diverged else "done",
        test_accuracy=0.5,
    )


def plotted(
    database: Database, experiment: Experiment, per: Any, measure: Measure
) -> list[CellCurves]:
    """Return what `plot` draws, step by step where it is by step."""
    shown, _ = shown_cells(database, experiment, experiment.cells, "runner run")
    request = FigureRequest(database, *NAME, shown, per=per, window=1)
    reader = CurveReader(request, [measure])
    return [reader.curves(cell, measure) for cell in shown]


@pytest.mark.parametrize(
    ("axis", "measure"), [("epoch", "accuracy"), ("epoch", "loss"), ("step", "loss")]
)
def test_curves_of_page_and_plot_have_the_same_numbers(
    database: Database, tmp_path: Path, axis: Any, measure: Measure
) -> None:
    experiment = record_made_up(database, tmp_path, GRID, recipe)
    watch = Watch(tmp_path / "results.db")
    try:
        for curves in plotted(database, experiment, axis, measure):
            position = curves.cell.position
            lines = watch.curves(NAME, [position], list(curves.lines), axis)
            assert [line["metric"] for line in lines] == list(curves.lines) != []
            for line, curve in zip(lines, curves.lines.values(), strict=True):
                assert line["name"] == curves.cell.name
                assert line["seeds"] == len(curves.cell.drawn())
                assert line["x"] == list(curve.x)
                assert line["mean"] == pytest.approx(curve.mean)
                assert line["low"] == pytest.approx(curve.low)
                assert line["high"] == pytest.approx(curve.high)
    finally:
        watch.close()


def test_seeds_that_diverged_are_drawn_where_none_is_done(
    database: Database, tmp_path: Path
) -> None:
    record_made_up(database, tmp_path, GRID, recipe)
    watch = Watch(tmp_path / "results.db")
    try:
        lines = watch.curves(NAME, [0, 1, 2], ["val_accuracy"], "epoch")
    finally:
        watch.close()
    assert [line["seeds"] for line in lines] == [2, 2, 3]

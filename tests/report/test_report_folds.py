"""Tables and figures over folds: means over folds and seeds, and words for what they are over."""

from pathlib import Path
from statistics import fmean, stdev

import pytest
from made_up import HEAD, MadeUp, filled, record_made_up

from runner.api.plotting import PlotOptions, draw
from runner.core.errors import UsageError
from runner.core.run import Cell
from runner.report.tables.render import FORMATS
from runner.report.tables.table import to_records
from runner.store.database import Database, open_database

FOLDS = HEAD + "folds: 4\nsweep: {grid: {lr: [0.1, 0.01]}}\n"
TABLE = "tables: {t: {LR: lr, ACC: {metric: val_accuracy, digits: 4}}}\n"
MELTED = """tables:
  t:
    columns: {LR: lr, ACC: val_accuracy, TEST: test_accuracy}
    melt: {names: WHAT, values: VALUE}
"""
PIVOTED = "tables: {t: {columns: {LR: lr, EPOCHS: epochs, ACC: val_accuracy}, pivot: LR}}\n"


def of_fold(cell: Cell) -> MadeUp:
    """Return three epochs that differ in every cell, fold and seed."""
    unit = 0.1 * cell.position + 0.02 * cell.fold + 0.001 * cell.seed
    return MadeUp({"train_loss": [1.0, 0.5, 0.2 + unit], "val_loss": [1.0, 0.9, 0.4 + unit],
                   "train_accuracy": [0.1, 0.3, 0.4 + unit],
                   "val_accuracy": [0.1, 0.2, 0.3 + unit]}, best_epoch=3)  # fmt: skip


def accuracies(position: int, seeds: tuple[int, ...] = (0,)) -> list[float]:
    return [
        0.3 + 0.1 * position + 0.02 * fold + 0.001 * seed for fold in (1, 2, 3, 4) for seed in seeds
    ]


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 5)])
def test_mean_and_deviation_are_over_folds_and_seeds(
    database: Database, tmp_path: Path, seeds: tuple[int, ...]
) -> None:
    table = filled(database, tmp_path, f"{FOLDS}seeds: {list(seeds)}\n{TABLE}", of_fold)
    for position, record in enumerate(to_records(table)):
        expected = accuracies(position, seeds)
        assert record["ACC"] == pytest.approx(fmean(expected))
        assert record["ACC_std"] == pytest.approx(stdev(expected))
        assert record["ACC_n"] == len(expected)
    words = "4 folds" if len(seeds) == 1 else "4 folds of 3 seeds"
    printed = FORMATS["text"](table)
    assert printed.rstrip().endswith(f"mean ± sample standard deviation over {words}")


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("form", [MELTED, PIVOTED])
def test_melted_and_pivoted_tables_know_of_folds(
    database: Database, tmp_path: Path, form: str
) -> None:
    table = filled(database, tmp_path, FOLDS + form, of_fold)
    assert "standard deviation over 4 folds" in FORMATS["text"](table)


def test_a_fold_without_a_result_is_counted(database: Database, tmp_path: Path) -> None:
    made = filled(
        database, tmp_path, FOLDS + TABLE, lambda cell: None if cell.fold == 2 else of_fold(cell)
    )
    (first, _) = made.rows
    entry = first.entries["ACC"]
    assert (entry.count, entry.runs, entry.folds, entry.missing) == (3, 4, 4, "1 unfinished")


def captions(folder: Path, text: str, kind: str) -> str:
    database = open_database(folder / "results.db")
    record_made_up(database, folder, text, of_fold)
    database.close()
    options = PlotOptions(kind=kind, db=folder / "results.db")
    figure = draw(folder / "made_up.yaml", options).figure
    legends = [*figure.legends]
    words = [text.get_text() for each in legends for text in each.get_texts()]
    return " ".join([*words, *(each.get_title().get_text() for each in legends)]).replace("\n", " ")


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("kind", "seeds", "words"),
    [
        ("curves", "[0]", "lines: means over 4 folds"),
        ("curves", "[0, 1]", "lines: means over 8 runs"),
        ("curves", "[0]", "least to greatest fold"),
        ("setting", "[0]", "mean ± sample standard deviation over 4 folds"),
    ],
)
def test_figures_say_that_they_are_over_folds(
    tmp_path: Path, kind: str, seeds: str, words: str
) -> None:
    assert words in captions(tmp_path, f"{FOLDS}seeds: {seeds}\n{TABLE}", kind)


def test_folds_that_are_averaged_are_no_axis(tmp_path: Path) -> None:
    database = open_database(tmp_path / "results.db")
    record_made_up(database, tmp_path, FOLDS, of_fold)
    database.close()
    options = PlotOptions(kind="setting", x="data.fold.index", db=tmp_path / "results.db")
    with pytest.raises(UsageError, match=r"--x data\.fold\.index: folds are averaged"):
        draw(tmp_path / "made_up.yaml", options)

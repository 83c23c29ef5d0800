"""What a page shows of an experiment, against the tables and records that it is read from."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from made_up import HEAD, MadeUp, record_made_up

from runner.core.errors import DamagedDatabase
from runner.core.run import Cell
from runner.report.page.curves import CurveCell, curve_lines
from runner.report.page.points import measured_points
from runner.report.page.reading import ExperimentReading
from runner.report.page.structure import Structure, read_structure
from runner.report.tables.declared import fill
from runner.report.tables.render import render
from runner.store.database import Database
from runner.store.queries import stored_experiments

pytestmark = pytest.mark.slow

GRID = (
    HEAD
    + "seeds: [0, 1]\nsweep: {grid: {lr: [0.1, 0.01, 0.001]}}\n"
    + "tables: {t: {LR: lr, VAL: {metric: val_accuracy, mark: max}, TEST: test_accuracy}}\n"
)
PIVOT = GRID.replace("tables: {t: {", "tables: {t: {pivot: LR, columns: {WIDTH: hidden, ").replace(
    "TEST: test_accuracy}}", "TEST: test_accuracy}}}"
)


def made(cell: Cell) -> MadeUp:
    unit = 0.01 * cell.position + 0.001 * cell.seed
    return MadeUp(
        {
            "val_accuracy": [0.2 + unit, 0.6 + unit, 0.5 + unit, 0.4 + unit],
            "train_loss": [2.0, 1.5, 1.0, 0.5],
        },
        best_epoch=2,
        test_accuracy=0.5 + unit,
        steps=[[3.0, 2.0], [1.9, 1.7], [1.5, 1.3], [1.2, 1.0]],
    )


def without_the_last(cell: Cell) -> MadeUp | None:
    return None if cell.position == 2 else made(cell)


def structure_of(database: Database) -> Structure:
    return read_structure(database, stored_experiments(database)[0])


def read(database: Database) -> dict[str, Any]:
    return ExperimentReading(structure_of(database)).items(database)


@pytest.mark.parametrize("text", [GRID, PIVOT])
def test_tables_have_the_texts_of_the_report(database: Database, tmp_path: Path, text: str) -> None:
    record_made_up(
        database, tmp_path, text, lambda cell: None if cell.position == 2 else made(cell)
    )
    items = read(database)
    (ref,) = structure_of(database).tables
    filled = fill(database, ref)
    printed = render(filled, "markdown").splitlines()[2:]
    for number, line in enumerate(printed[: len(filled.rows)]):
        texts = [
            f"**{text}**" if value.get("best") else text
            for value in items[f"row:t:{number}"]["values"]
            for text in value["texts"]
        ]
        assert [each.strip() for each in line.strip("|").split("|")] == texts
    assert items["table:t"]["rows"] == len(filled.rows)


def test_each_value_of_a_pivot_names_its_own_cell(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, PIVOT, made)
    (row,) = [value for key, value in read(database).items() if key.startswith("row:")]
    positions = [value["position"] for value in row["values"] if "position" in value]
    assert positions == [0, 1, 2, 0, 1, 2]


def test_cells_and_head_count_what_is_done(database: Database, tmp_path: Path) -> None:
    def recipe(cell: Cell) -> MadeUp | None:
        if cell.position == 0:
            return made(cell)
        failed = MadeUp({"train_loss": [2.0]}, status="diverged" if cell.seed else "failed")
        return failed if cell.position == 1 else None

    record_made_up(database, tmp_path, GRID, recipe)
    items = read(database)
    counts = {"done": 2, "running": 0, "unfinished": 2, "diverged": 1, "failed": 1}
    assert items["head"]["counts"] == counts
    assert items["cell:0:1"]["status"] == "done"
    assert items["cell:1:0"]["status"] == "failed"
    assert items["cell:1:0"]["message"] == "it failed"
    assert items["head"]["failure"]["error"] == "it failed"
    assert items["head"]["epochs_trained"] == items["head"]["epochs_read"]
    nodes = [items[f"node:{key}"] for key in items["plan"]["nodes"]]
    assert nodes[0]["kind"] == "prepare"
    assert [each["for"] for each in nodes[1:4]] == [
        "lr=0.1 seed=0",
        "lr=0.1 seed=1",
        "lr=0.01 seed=0",
    ]
    assert nodes[1]["epochs_done"] == 4
    assert nodes[3]["counts"] == {"failed": 1}
    assert (nodes[4]["counts"], nodes[4]["epochs_done"]) == ({"diverged": 1}, 1)


@pytest.mark.parametrize("text", [GRID, PIVOT])
def test_what_is_seen_first_is_a_part_of_the_whole(
    database: Database, tmp_path: Path, text: str
) -> None:
    record_made_up(database, tmp_path, text, without_the_last)
    reading = ExperimentReading(structure_of(database))
    first = reading.first_items(database)
    assert not reading.is_settled()
    whole = reading.items(database)
    assert {key: value for key, value in whole.items() if key in first and key != "head"} == {
        key: value for key, value in first.items() if key != "head"
    }
    assert first["head"]["counts"] == whole["head"]["counts"]
    assert first["head"].keys() == whole["head"].keys()
    assert {key.partition(":")[0] for key in whole.keys() - first.keys()} == {
        *("plan", "node", "metrics")
    }
    assert whole == read(database)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("text", [GRID, PIVOT])
def test_reading_again_finds_what_reading_anew_finds(
    database: Database, tmp_path: Path, text: str
) -> None:
    ended: set[tuple[int, int]] = set()

    def recipe(cell: Cell) -> MadeUp | None:
        return made(cell) if (cell.position, cell.seed) in ended else None

    record_made_up(database, tmp_path, text, recipe)
    reading = ExperimentReading(structure_of(database))
    reading.items(database, now=0.0)
    cells = [(position, seed) for position in range(3) for seed in range(2)]
    random.Random(0).shuffle(cells)
    for cell in cells:
        ended.add(cell)
        record_made_up(database, tmp_path, text, recipe)
        again = reading.items(database, now=0.0)
        anew = ExperimentReading(structure_of(database)).items(database, now=0.0)
        anew["head"]["recorded"] = again["head"]["recorded"]
        assert again == anew


def test_a_damaged_result_is_refused_when_it_is_checked(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, GRID, made)
    with sqlite3.connect(database.address) as raw:
        raw.execute("UPDATE metrics SET value = 0.99 WHERE name = 'accuracy' AND epoch = 2")
    reading = ExperimentReading(structure_of(database))
    reading.items(database)
    assert not reading.is_settled()
    for _ in range(2):  # it stays so
        with pytest.raises(DamagedDatabase):
            reading.check(database)
    assert not reading.is_settled()


def test_a_damaged_epoch_is_no_point_of_a_curve(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, GRID, made)
    with sqlite3.connect(database.address) as raw:
        raw.execute("UPDATE metrics SET value = 0.99 WHERE name = 'accuracy' AND epoch = 3")
    runs = tuple(cell.run_key for cell in structure_of(database).cells if cell.position == 0)
    with pytest.raises(DamagedDatabase):
        curve_lines(database, [CurveCell(0, "a", runs)], ["val_accuracy"], "epoch")


@pytest.mark.parametrize(
    ("axis", "xs"),
    [("epoch", [1, 2, 3, 4]), ("step", [2, 4, 6, 8]), ("seconds", [10, 20, 30, 40])],
)
def test_curves_are_means_and_ranges_over_seeds(
    database: Database, tmp_path: Path, axis: Any, xs: list[float]
) -> None:
    record_made_up(database, tmp_path, GRID, made)
    structure = structure_of(database)
    runs = tuple(cell.run_key for cell in structure.cells if cell.position == 1)
    (line,) = curve_lines(database, [CurveCell(1, "b", runs)], ["val_accuracy"], axis)
    assert line["x"] == xs
    assert line["low"] == pytest.approx([0.21, 0.61, 0.51, 0.41])
    assert line["high"] == pytest.approx([0.211, 0.611, 0.511, 0.411])
    assert line["mean"] == pytest.approx([0.2105, 0.6105, 0.5105, 0.4105])
    assert line["seeds"] == 2


def test_the_training_loss_by_step_is_that_of_each_step(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, GRID, made)
    (run, *_) = (cell.run_key for cell in structure_of(database).cells)
    (line,) = curve_lines(database, [CurveCell(0, "a", (run,))], ["train_loss"], "step")
    assert line["x"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert line["mean"] == [3.0, 2.0, 1.9, 1.7, 1.5, 1.3, 1.2, 1.0]


def test_long_curves_are_thinned_and_keep_their_extremes(
    database: Database, tmp_path: Path
) -> None:
    steps = [[1.0 + 0.001 * (number % 7) for number in range(1000)] for _ in range(4)]
    steps[1][333], steps[2][777] = 9.0, -9.0
    recipe = MadeUp({"train_loss": [1.0] * 4}, steps=steps)
    record_made_up(database, tmp_path, GRID, lambda cell: recipe)
    (run, *_) = (cell.run_key for cell in structure_of(database).cells)
    (line,) = curve_lines(database, [CurveCell(0, "a", (run,))], ["train_loss"], "step")
    assert 300 < len(line["x"]) <= 402
    assert (line["x"][0], line["x"][-1]) == (1, 4000)
    assert line["mean"][line["x"].index(1334)] == 9.0
    assert line["mean"][line["x"].index(2778)] == -9.0
    assert line["x"] == sorted(line["x"])


def test_points_have_swept_settings_and_numbers(database: Database, tmp_path: Path) -> None:
    record_made_up(
        database, tmp_path, GRID, lambda cell: None if cell.position == 2 else made(cell)
    )
    found = measured_points(database, structure_of(database))
    assert found["settings"] == [["train.optimizer.lr", "lr"]]
    assert [point["settings"]["train.optimizer.lr"] for point in found["points"]] == [
        0.1,
        0.1,
        0.01,
        0.01,
    ]
    assert found["points"][0]["metrics"]["test_accuracy"] == 0.5
    assert found["metrics"][:2] == ["val_accuracy", "test_accuracy"]

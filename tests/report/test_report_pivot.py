"""Pivoted tables, against the same tables unpivoted; ``golden/`` holds how they look.

``UPDATE_GOLDEN=1 pytest tests/report/test_report_pivot.py`` writes the golden files anew.
"""

import os
import random
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from made_up import HEAD, MadeUp, column, filled, forget_runs, record_made_up

from runner.api.reporting import report
from runner.core.errors import UsageError
from runner.core.run import Cell
from runner.report.tables.declared import TableRef, sql_of
from runner.report.tables.query import query_table
from runner.report.tables.render import FORMATS, render
from runner.report.tables.table import TableData, to_frame, to_records
from runner.spec.tables.pivot_checks import column_value
from runner.spec.tables.table import Table, parse_tables
from runner.spec.yaml_loader import parse_yaml
from runner.store.database import Database

GOLDEN = Path(__file__).parent / "golden"
NETWORKS = f"""{HEAD}
seeds: [0, 1]
sweep:
  rows:
    - labels: {{NET: "Alex_Net & co", POLICY: whole network}}
      lr: 0.1
      published: {{ACC: 0.82}}
    - {{labels: {{NET: Resnet18, POLICY: whole network}}, lr: 0.2, published: {{ACC: 0.87}}}}
    - {{labels: {{NET: "Alex_Net & co", POLICY: "freeze | most"}}, lr: 0.3, published: {{ACC: 1}}}}
    - {{labels: {{NET: Resnet18, POLICY: "freeze | most"}}, lr: 0.4}}
    - {{labels: {{NET: VGG11, POLICY: "freeze | most"}}, lr: 0.5}}
    - {{labels: {{NET: VGG11, POLICY: none}}, lr: 0.6}}
    - {{labels: {{NET: Resnet18, POLICY: none}}, lr: 0.7}}
tables:
  networks:
    pivot: {{column: POLICY, titles: {{whole network: ACC, none: "ACC*"}}}}
    columns: {{NET: NET, POLICY: POLICY, ACC: {{metric: test_accuracy, mark: max}}}}
    order: -NET
"""
METRICS = f"""{HEAD}
sweep: {{grid: {{batch_size: [4, 8], lr: [0.1, 0.01, 0.001]}}}}
tables:
  metrics:
    pivot: {{column: LR, titles: {{1e-2: medium}}}}
    columns:
      EPOCH: best_epoch
      LR: lr
      BATCH: batch_size
      VAL: {{metric: val_accuracy, mark: max, digits: 2}}
"""
RATES = ("0.1", "medium", "0.001")


def networks(cell: Cell) -> MadeUp | None:
    made = MadeUp({"val_accuracy": [0.5]}, test_accuracy=0.8 + cell.position / 50 + cell.seed / 100)
    other = None if cell.seed else MadeUp(status="failed")
    return [made, made if cell.seed else MadeUp(status="failed"), made, made, other, made, None][
        cell.position
    ]


def metrics(cell: Cell) -> MadeUp | None:
    made = MadeUp({"val_accuracy": [0.25, 0.5 + cell.position / 10]}, best_epoch=2)
    return [made, made, made, MadeUp(status="diverged"), None, made][cell.position]


def tables(database: Database, folder: Path) -> dict[str, TableData]:
    return {
        "networks": filled(database, folder, NETWORKS, networks),
        "metrics": filled(database, folder, METRICS.replace("made_up", "other"), metrics),
    }


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("form", FORMATS)
def test_format_looks_like_its_golden_file(database: Database, tmp_path: Path, form: str) -> None:
    for name, table in tables(database, tmp_path).items():
        text = render(table, form)
        golden = GOLDEN / f"pivot_{name}.{form}"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_place_holds_the_numbers_of_its_cell(database: Database, tmp_path: Path) -> None:
    draw = random.Random(3)
    text = f"""{HEAD}
seeds: [0, 1, 2]
sweep: {{grid: {{lr: [0.1, 0.2, 0.3], dropout: [0, 0.5], batch_size: [4, 8, 16, 32]}}}}
tables:
  wide:
    pivot: BATCH
    columns: &columns {{LR: lr, DROPOUT: dropout, BATCH: batch_size, A: val_accuracy, B: val_loss}}
  long: *columns
"""

    def recipe(cell: Cell) -> MadeUp | None:
        curves = {name: [draw.random()] for name in ("val_accuracy", "val_loss")}
        return draw.choice([MadeUp(curves), MadeUp(curves), MadeUp(status="failed"), None])

    wide = filled(database, tmp_path, text, recipe)
    table = parse_tables(parse_yaml(text, "a.yaml").get("tables"), ())[1]
    long = to_frame(query_table(database, table, "made_up", "")).drop(columns="status")
    wanted = long.pivot(index=["LR", "DROPOUT"], columns="BATCH")
    wanted.columns = [
        f"{metric.partition('_')[0]} {batch}{metric[1:]}" for metric, batch in wanted.columns
    ]
    shown = to_frame(wide).drop(columns="status").set_index(["LR", "DROPOUT"])
    assert len(shown) == 6
    assert len(shown.columns) == 4 * 2 * 3
    pd.testing.assert_frame_equal(shown, wanted[list(shown)])


@pytest.mark.slow
def test_place_says_how_its_own_runs_ended(database: Database, tmp_path: Path) -> None:
    table = tables(database, tmp_path)["metrics"]
    four, eight = table.rows
    shown = [four.entries[f"VAL {lr}"].missing for lr in RATES]
    assert shown == ["", "", ""]
    shown = [eight.entries[f"VAL {lr}"].missing for lr in RATES]
    assert shown == ["diverged", "unfinished", ""]
    records = to_records(table)
    assert [each["status"] for each in records] == ["done", "1 diverged, 1 unfinished"]
    assert (records[1]["VAL 0.1"], records[1]["VAL 0.001"]) == (None, 1.0)


@pytest.mark.slow
def test_place_without_a_cell_is_empty_everywhere(database: Database, tmp_path: Path) -> None:
    table = tables(database, tmp_path)["networks"]
    (record,) = [each for each in to_records(table) if each["NET"] == "VGG11"]
    assert record["ACC"] is None
    assert (record["ACC_std"], record["ACC_n"], record["ACC_published"]) == (None, 0, None)
    (line,) = [line for line in render(table).splitlines() if line.startswith("VGG11")]
    assert line.split()[1] == "–"


@pytest.mark.slow
def test_columns_each_have_a_best_of_their_own(database: Database, tmp_path: Path) -> None:
    table = tables(database, tmp_path)["networks"]
    best = {
        title: [row.entries["NET"].value for row in table.rows if row.entries[title].is_best]
        for title in ("ACC", "freeze | most", "ACC*")
    }
    assert best == {"ACC": ["Resnet18"], "freeze | most": ["Resnet18"], "ACC*": ["VGG11"]}


@pytest.mark.slow
def test_published_values_stand_in_the_place_of_their_cell(
    database: Database, tmp_path: Path
) -> None:
    records = {each["NET"]: each for each in to_records(tables(database, tmp_path)["networks"])}
    alex, resnet = records["Alex_Net & co"], records["Resnet18"]
    assert (alex["ACC_published"], alex["freeze | most_published"]) == (0.82, 1.0)
    assert alex["freeze | most_difference"] == pytest.approx(0.845 - 1)
    assert (resnet["ACC_published"], resnet["freeze | most_published"]) == (0.87, None)
    assert "ACC*_published" not in alex


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "nets"),
    [
        ("", ["Alex_Net & co", "Resnet18", "VGG11"]),
        ("    order: NET\n", ["Alex_Net & co", "Resnet18", "VGG11"]),
        ("    order: -NET\n", ["VGG11", "Resnet18", "Alex_Net & co"]),
    ],
)
def test_rows_follow_the_order_and_columns_the_spec(
    database: Database, tmp_path: Path, order: str, nets: list[str]
) -> None:
    """VGG11, with no cell for the first value, would turn the columns round if it came first."""
    table = filled(database, tmp_path, NETWORKS.replace("    order: -NET\n", order), networks)
    assert column(table, "NET") == nets
    titles = [each.title for each in table.table.columns]
    assert titles == ["NET", "ACC", "freeze | most", "ACC*"]


def test_api_returns_the_pivoted_table(database: Database, tmp_path: Path) -> None:
    table = filled(database, tmp_path, METRICS, metrics)
    frame = report("metrics", db=tmp_path / "results.db").frame()
    epochs, accuracies = ([f"{each} {lr}" for lr in RATES] for each in ("EPOCH", "VAL"))
    assert list(frame) == [*epochs, "BATCH", *accuracies, "status"]
    pd.testing.assert_frame_equal(frame, to_frame(table))


def test_sql_gives_the_rows_before_the_pivot(database: Database, tmp_path: Path) -> None:
    experiment = record_made_up(database, tmp_path, METRICS, metrics)
    statement = sql_of(TableRef(experiment.tables[0], experiment.name, "", ""))
    database.close()
    with sqlite3.connect(tmp_path / "results.db") as connection:
        connection.row_factory = sqlite3.Row
        rows = [(row["BATCH"], row["LR"], row["VAL"]) for row in connection.execute(statement)]
    connection.close()
    assert rows[:3] == [(4, 0.1, 0.5), (4, 0.01, 0.6), (4, 0.001, 0.7)]
    assert rows[3:] == [(8, 0.1, None), (8, 0.01, None), (8, 0.001, 1.0)]


SETTINGS = f"""{HEAD}
sweep:
  rows:
    - {{labels: {{NET: "1.0"}}, lr: 0.1, batch_norm: true, optimizer: sgd, epochs: 4}}
    - {{lr: 1e-05, hidden: [64, 32], early_stopping: {{patience: 3}}, schedule: step}}
    - {{lr: 2, early_stopping: null, optimizer: {{name: adam, betas: [0.8, 0.99]}}, seed: 3}}
tables:
  t:
    A: NET
    B: lr
    C: batch_norm
    D: optimizer
    E: epochs
    F: hidden
    G: early_stopping
    H: patience
    I: step_size
    J: train.optimizer.betas
    K: data
    L: seed
    M: model.activation
    N: train.best
"""


@pytest.mark.slow
def test_checks_before_a_run_see_the_values_that_sql_gives(
    database: Database, tmp_path: Path
) -> None:
    experiment = record_made_up(database, tmp_path, SETTINGS, lambda cell: MadeUp())
    (table,) = experiment.tables
    rows = query_table(database, table, experiment.name, "").rows
    for row, item in zip(rows, experiment.cells, strict=True):
        shown = {title: entry.value for title, entry in row.entries.items()}
        assert shown == {each.title: column_value(each, item.cell) for each in table.columns}


HIDDEN = f"""{HEAD}
sweep: {{zip: {{lr: [0.1, 0.2], dropout: [0.25, 0.5]}}, grid: {{batch_size: [4, 8]}}}}
tables:
  t: {{pivot: LR, columns: {{SIZE: batch_size, LR: lr, VAL: val_accuracy}}}}
"""


def by_rate(cell: Cell) -> MadeUp:
    return MadeUp({"val_accuracy": [cell.settings["train"]["optimizer"]["lr"]]})


def test_variant_is_pivoted_like_the_spec(database: Database, tmp_path: Path) -> None:
    experiment = record_made_up(database, tmp_path, HIDDEN, by_rate, ["epochs=2"])
    table = query_table(database, experiment.tables[0], experiment.name, "epochs=2")
    assert (column(table, "0.1"), column(table, "0.2")) == ([0.1, 0.1], [0.2, 0.2])


def test_cells_that_a_variant_makes_one_run_are_one_cell(
    database: Database, tmp_path: Path
) -> None:
    sets = ["lr=0.4", "dropout=0"]
    experiment = record_made_up(database, tmp_path, HIDDEN, by_rate, sets)
    table = query_table(database, experiment.tables[0], experiment.name, experiment.variant)
    assert [each.title for each in table.table.columns] == ["SIZE", "0.4"]
    assert (column(table, "SIZE"), column(table, "0.4")) == ([4, 8], [0.4, 0.4])
    assert [row.runs for row in table.rows] == [1, 1]


def test_cells_that_a_variant_moves_into_one_place_are_refused(
    database: Database, tmp_path: Path
) -> None:
    experiment = record_made_up(database, tmp_path, HIDDEN, by_rate, ["lr=0.4"])
    with pytest.raises(UsageError) as caught:
        query_table(database, experiment.tables[0], experiment.name, experiment.variant)
    assert str(caught.value) == (
        "table t has two cells at (SIZE: 4, LR: 0.4), made_up:0 and made_up:2 (variant: lr=0.4)\n"
        "    allowed: one cell in each place\n"
        "    hint: a column for what differs keeps them apart; see it"
        " with: runner diff made_up:0@lr=0.4 made_up:2@lr=0.4"
    )


@pytest.mark.slow
def test_cells_without_runs_are_told_apart_by_their_settings(
    database: Database, tmp_path: Path
) -> None:
    experiment = record_made_up(database, tmp_path, HIDDEN, by_rate)
    forget_runs(database)
    table = query_table(database, experiment.tables[0], experiment.name, "")
    assert [row.missing() for row in table.rows] == ["2 unfinished", "2 unfinished"]
    assert column(table, "SIZE") == [4, 8]
    for sets in (["lr=0.4", "dropout=0"], ["lr=0.4"]):  # the first makes cells equal
        record_made_up(database, tmp_path, HIDDEN, by_rate, sets)
    forget_runs(database)
    equal = query_table(database, experiment.tables[0], experiment.name, "dropout=0, lr=0.4")
    assert [row.runs for row in equal.rows] == [1, 1]
    with pytest.raises(UsageError, match="has two cells at"):
        query_table(database, experiment.tables[0], experiment.name, "lr=0.4")


def table_of(text: str) -> Table:
    return parse_tables(parse_yaml(text, "a.yaml"), ())[0]


def test_stored_cells_that_a_newer_table_puts_in_one_place_are_refused(
    database: Database, tmp_path: Path
) -> None:
    record_made_up(database, tmp_path, HIDDEN, by_rate)
    newer = table_of("t: {pivot: SIZE, columns: {SIZE: batch_size, NET: model, A: val_accuracy}}")
    with pytest.raises(UsageError) as caught:
        query_table(database, newer, "made_up", "")
    assert str(caught.value) == (
        "table t has two cells at (SIZE: 4, NET: mlp), made_up:0 and made_up:2\n"
        "    allowed: one cell in each place\n"
        "    hint: a column for what differs keeps them apart; see it"
        " with: runner diff made_up:0 made_up:2"
    )


@pytest.mark.slow
def test_stored_cells_with_another_value_may_clash_with_a_title(
    database: Database, tmp_path: Path
) -> None:
    record_made_up(database, tmp_path, HIDDEN, by_rate)
    columns = "columns: {SIZE: batch_size, LR: lr, A: val_accuracy}"
    newer = table_of(f"t: {{pivot: {{column: SIZE, titles: {{4: '8'}}}}, {columns}}}")
    with pytest.raises(
        UsageError, match="table t would have two columns '8'\n    hint: give it ano"
    ):
        query_table(database, newer, "made_up", "")

"""Declared tables against the numbers that were recorded."""

import json
import random
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from made_up import HEAD, MadeUp, column, filled, record_made_up

from runner.core.run import Cell
from runner.report.tables.declared import TableRef, sql_of
from runner.report.tables.query import query_table
from runner.report.tables.sql import PROPERTY_SQL
from runner.report.tables.table import TableData, to_frame, to_records
from runner.spec.tables.column import PROPERTIES
from runner.store.database import Database

CURVES = {
    "train_accuracy": [0.2, 0.5, 0.7, 0.9],
    "val_accuracy": [0.1, 0.6, 0.4, 0.5],
    "val_loss": [2.0, 0.5, 1.0, 0.25],
}
DONE = MadeUp(CURVES, best_epoch=2, test_accuracy=0.55)


def one_value(database: Database, folder: Path, declared: str, made: MadeUp = DONE) -> object:
    table = filled(database, folder, f"{HEAD}tables: {{t: {{X: {declared}}}}}", lambda cell: made)
    return column(table, "X")[0]


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("{metric: val_accuracy, at: best}", 0.6),
        ("{metric: val_accuracy}", 0.6),
        ("val_accuracy", 0.6),
        ("{metric: val_accuracy, at: last}", 0.5),
        ("{metric: val_accuracy, at: max}", 0.6),
        ("{metric: val_accuracy, at: min}", 0.1),
        ("{metric: val_loss, at: min}", 0.25),
        ("{metric: val_accuracy, at: 3}", 0.4),
        ("{metric: test_accuracy, at: best}", 0.55),
        ("{metric: test_accuracy, at: max}", 0.55),
        ("best_epoch", 2),
        ("last_epoch", 4),
        ("parameters", 1234),
        ("train_seconds", 40.0),
        ("{metric: seconds / 60}", 43.0 / 60),
        ("{metric: best_epoch / last_epoch}", 0.5),
        ("{metric: train_accuracy - val_accuracy, at: last}", 0.4),
        ("{metric: train_accuracy - val_accuracy, at: max}", 0.4),
        ("{metric: train_accuracy - val_accuracy, at: min}", -0.1),
        ("{metric: 100 * val_accuracy, at: 1}", 10.0),
        ("{metric: -(val_accuracy + 1) * 2, at: best}", -3.2),
        ("{metric: train_accuracy / val_accuracy, at: last}", 1.8),
        ("{metric: val_accuracy / (val_loss - 0.5), at: best}", None),
        ("{metric: val_accuracy / (val_loss - 0.5), at: max}", 0.8),
        ("{metric: val_accuracy / (val_loss - 0.5), at: min}", -2.0),
        ("{metric: val_accuracy * best_epoch, at: max}", 1.2),
    ],
)
def test_metric_column_shows_the_recorded_number(
    database: Database, tmp_path: Path, declared: str, value: float | None
) -> None:
    shown = one_value(database, tmp_path, declared)
    assert shown == (None if value is None else pytest.approx(value))


def test_epoch_that_a_run_never_reached_is_empty(database: Database, tmp_path: Path) -> None:
    stopped = MadeUp({"val_accuracy": [0.5]})
    assert one_value(database, tmp_path, "{metric: val_accuracy, at: 3}", stopped) is None


@pytest.mark.slow
def test_mean_deviation_and_count_over_seeds_are_those_of_pandas(
    database: Database, tmp_path: Path
) -> None:
    draw = random.Random(7)
    made = {
        (lr, seed): MadeUp(
            {name: [draw.random() for _ in range(4)] for name in CURVES},
            best_epoch=draw.randint(1, 4),
            test_accuracy=draw.random(),
        )
        for lr in (0.1, 0.2, 0.3)
        for seed in range(4)
    }
    text = f"""{HEAD}
seeds: [0, 1, 2, 3]
sweep: {{grid: {{lr: [0.1, 0.2, 0.3]}}}}
tables:
  t:
    LR: lr
    BEST: val_accuracy
    MAX: {{metric: val_accuracy, at: max}}
    GAP: {{metric: train_accuracy - val_accuracy, at: min}}
    TEST: test_accuracy
"""
    table = filled(database, tmp_path, text, lambda cell: made[cell.swept[LR], cell.seed])
    rows = [
        {
            "LR": lr,
            "BEST": each.metrics["val_accuracy"][each.best_epoch - 1],
            "MAX": max(each.metrics["val_accuracy"]),
            "GAP": min(
                train - val
                for train, val in zip(
                    each.metrics["train_accuracy"], each.metrics["val_accuracy"], strict=True
                )
            ),
            "TEST": each.test_accuracy,
        }
        for (lr, _), each in made.items()
    ]
    wanted = pd.DataFrame(rows).groupby("LR").agg(["mean", "std", "count"])
    frame = to_frame(table).set_index("LR")
    for title in ("BEST", "MAX", "GAP", "TEST"):
        assert frame[title].tolist() == pytest.approx(wanted[title]["mean"].tolist())
        assert frame[f"{title}_std"].tolist() == pytest.approx(wanted[title]["std"].tolist())
        assert frame[f"{title}_n"].tolist() == [4, 4, 4]


LR = "train.optimizer.lr"
SWEEP = f"""{HEAD}
sweep: {{grid: {{lr: [0.1, 0.2, 0.3]}}}}
tables:
  t: """


def by_lr(*accuracies: float) -> object:
    values = dict(zip((0.1, 0.2, 0.3), accuracies, strict=True))
    return lambda cell: MadeUp({"val_accuracy": [values[cell.swept[LR]]]})


def test_columns_come_as_declared(database: Database, tmp_path: Path) -> None:
    declared = "{VAL: val_accuracy, LR: lr, EPOCH: best_epoch, BATCH: batch_size}"
    table = filled(database, tmp_path, SWEEP + declared)
    assert list(to_frame(table)) == ["VAL", "LR", "EPOCH", "BATCH", "status"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "rates"),
    [
        ("VAL", [0.2, 0.1, 0.3]),
        ("-VAL", [0.1, 0.3, 0.2]),
        ("[-VAL, -LR]", [0.3, 0.1, 0.2]),
        ("-LR", [0.3, 0.2, 0.1]),
    ],
)
def test_rows_come_in_the_declared_order_then_that_of_the_spec(
    database: Database, tmp_path: Path, order: str, rates: list[float]
) -> None:
    declared = f"{{columns: {{LR: lr, VAL: val_accuracy}}, order: {order}}}"
    table = filled(database, tmp_path, SWEEP + declared, by_lr(0.7, 0.5, 0.7))
    assert column(table, "LR") == rates


@pytest.mark.parametrize(
    ("mark", "best"), [("max", [False, True, True]), ("min", [True, False, False])]
)
def test_best_of_a_column_is_marked_with_ties(
    database: Database, tmp_path: Path, mark: str, best: list[bool]
) -> None:
    declared = f"{{VAL: {{metric: val_accuracy, mark: {mark}}}}}"
    table = filled(database, tmp_path, SWEEP + declared, by_lr(0.5, 0.7, 0.7))
    assert [row.entries["VAL"].is_best for row in table.rows] == best


def test_published_values_stand_beside_with_their_difference(
    database: Database, tmp_path: Path
) -> None:
    text = f"""{HEAD}
sweep:
  rows:
    - {{lr: 0.1, published: {{VAL: 0.5}}}}
    - {{lr: 0.2}}
tables: {{t: {{LR: lr, VAL: val_accuracy}}}}
"""
    table = filled(database, tmp_path, text, lambda cell: MadeUp({"val_accuracy": [0.75]}))
    first, second = to_records(table)
    assert (first["VAL_published"], first["VAL_difference"]) == (0.5, 0.25)
    assert (second["VAL_published"], second["VAL_difference"]) == (None, None)


def test_row_that_is_not_done_has_no_number_and_says_so(database: Database, tmp_path: Path) -> None:
    made = {0.1: None, 0.2: MadeUp(CURVES, status="failed"), 0.3: MadeUp(CURVES, status="diverged")}
    table = filled(
        database, tmp_path, SWEEP + "{LR: lr, VAL: val_accuracy}", lambda c: made[c.swept[LR]]
    )
    assert column(table, "VAL") == [None, None, None]
    assert [row.missing() for row in table.rows] == ["unfinished", "failed", "diverged"]


def test_partial_row_averages_what_is_done(database: Database, tmp_path: Path) -> None:
    text = f"{HEAD}seeds: [0, 1, 2]\ntables: {{t: {{VAL: val_accuracy}}}}"
    made = [MadeUp({"val_accuracy": [0.4]}), MadeUp(status="failed"), None]
    (row,) = filled(database, tmp_path, text, lambda cell: made[cell.seed]).rows
    assert (row.entries["VAL"].value, row.entries["VAL"].count, row.runs) == (0.4, 1, 3)
    assert row.entries["VAL"].std is None
    assert row.missing() == "1 failed, 1 unfinished"


def test_settings_of_every_kind_are_shown(database: Database, tmp_path: Path) -> None:
    text = f"""{HEAD.replace("name: mlp", "name: mlp, hidden: [64, 32], batch_norm: true")}
sweep: {{grid: {{early_stopping: [null, {{patience: 3}}]}}}}
tables:
  t:
    NORM: batch_norm
    DROP_LAST: train.drop_last
    HIDDEN: hidden
    OPTIMIZER: optimizer
    DATA: data
    PATIENCE: patience
    STOP: early_stopping
    CLIP: clip_grad_norm
"""
    first, second = filled(database, tmp_path, text).rows
    shown = {title: entry.value for title, entry in first.entries.items()}
    assert shown == {
        "NORM": "true",
        "DROP_LAST": "false",
        "HIDDEN": "[64,32]",
        "OPTIMIZER": "adam",
        "DATA": "digits",
        "PATIENCE": None,
        "STOP": None,
        "CLIP": None,
    }
    assert second.entries["PATIENCE"].value == 3
    assert json.loads(second.entries["STOP"].value)["patience"] == 3


ODD_TITLES = [
    "with space",
    "it's",
    'a "quote"',
    "100 %",
    "%s",
    ":name",
    "a:b",
    "?",
    "runs",
    "position",
    "published",
    "done",
    "v1",
    "ACC -> max",
    "größe",
]


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("title", ODD_TITLES)
def test_title_of_any_text_is_a_column(database: Database, tmp_path: Path, title: str) -> None:
    quoted = "'" + title.replace("'", "''") + "'"
    columns = f"{{{quoted}: val_accuracy, LR: lr}}"
    declared = f"{{columns: {columns}, order: [{quoted}]}}"
    table = filled(database, tmp_path, SWEEP + declared, by_lr(0.7, 0.5, 0.6))
    assert column(table, title) == [0.5, 0.6, 0.7]
    assert column(table, "LR") == [0.2, 0.3, 0.1]


def test_labels_may_hold_quotes(database: Database, tmp_path: Path) -> None:
    text = f"""{HEAD}
sweep:
  rows:
    - {{lr: 0.1, labels: {{'the "net"': 'it''s "a"', "it's": b}}}}
    - {{lr: 0.2, labels: {{'the "net"': c, "it's": '%s :x ?'}}}}
tables: {{t: {{A: {{label: 'the "net"'}}, B: {{label: "it's"}}}}}}
"""
    table = filled(database, tmp_path, text)
    assert column(table, "A") == ['it\'s "a"', "c"]
    assert column(table, "B") == ["b", "%s :x ?"]


@pytest.mark.parametrize("title", ["status", "VAL_std", "VAL_n", "VAL_published"])
def test_title_that_exports_use_themselves_is_refused(
    database: Database, tmp_path: Path, title: str
) -> None:
    with pytest.raises(Exception, match=f"column title '{title}'"):
        filled(database, tmp_path, f"{SWEEP}{{VAL: val_accuracy, {title}: lr}}")


def test_cells_that_share_a_run_are_two_rows(database: Database, tmp_path: Path) -> None:
    text = f"""{HEAD}
sweep: {{rows: [{{label: a, lr: 0.1}}, {{label: b, lr: 0.1}}]}}
tables: {{t: {{NAME: label, VAL: val_accuracy}}}}
"""
    table = filled(database, tmp_path, text, lambda cell: DONE)
    assert column(table, "NAME") == ["a", "b"]
    assert column(table, "VAL") == [0.6, 0.6]


def test_rows_of_other_experiments_do_not_show(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, HEAD.replace("made_up", "other"), lambda cell: DONE)
    table = filled(database, tmp_path, SWEEP + "{LR: lr}")
    assert column(table, "LR") == [0.1, 0.2, 0.3]


def test_sql_runs_in_plain_sqlite_and_gives_the_same_numbers(
    database: Database, tmp_path: Path
) -> None:
    text = f"""{HEAD}
seeds: [0, 1]
sweep: {{grid: {{lr: [0.1, 0.2]}}}}
tables:
  t:
    LR: lr
    "it's %": {{metric: val_accuracy, at: max}}
    GAP: {{metric: train_accuracy - val_accuracy, at: max}}
"""
    experiment = record_made_up(database, tmp_path, text, lambda cell: some(cell))
    declared = TableRef(experiment.tables[0], experiment.name, "", "")
    table = query_table(database, declared.table, declared.experiment, "")
    database.close()
    with sqlite3.connect(tmp_path / "results.db") as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(sql_of(declared) + ";")]
    connection.close()
    for title in ("LR", "it's %", "GAP"):
        assert [row[title] for row in rows] == column(table, title)
    assert [row["it's %_std"] for row in rows] == deviations(table, "it's %")
    assert [(row["runs"], row["done"], row["failed"]) for row in rows] == [(2, 2, 0), (2, 2, 0)]


def some(cell: Cell) -> MadeUp:
    draw = random.Random(f"{cell.position} {cell.seed}")
    return MadeUp({name: [draw.random() for _ in range(4)] for name in CURVES})


def deviations(table: TableData, title: str) -> list[float | None]:
    return [row.entries[title].std for row in table.rows]


def test_query_looks_runs_up_by_key(database: Database, tmp_path: Path) -> None:
    """Scanning all metrics made a table take seconds on a thousand runs."""
    declared = "{A: {metric: val_accuracy, at: max}, B: {metric: val_loss - val_accuracy, at: min}}"
    experiment = record_made_up(database, tmp_path, SWEEP + declared, by_lr(0.1, 0.2, 0.3))
    query = sql_of(TableRef(experiment.tables[0], experiment.name, "", ""))
    with database.read() as connection:
        plan = [str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert any("SEARCH metrics" in line for line in plan)
    assert not [line for line in plan if "SCAN metrics" in line or "SCAN evaluations" in line]


def test_every_number_of_a_run_has_its_sql() -> None:
    assert set(PROPERTY_SQL) == set(PROPERTIES)

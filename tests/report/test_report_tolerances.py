"""Published values with a tolerance: which hold, and how each format says so."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import HEAD, MadeUp, filled

from runner.core.run import Cell
from runner.report.tables.render import FORMATS, render
from runner.report.tables.table import TableData, to_records
from runner.report.tables.tolerances import tolerance_checks
from runner.store.database import Database

GOLDEN = Path(__file__).parent / "golden"
FAILED, DIVERGED = MadeUp(status="failed"), MadeUp(status="diverged")


def val(accuracy: float) -> MadeUp:
    return MadeUp({"val_accuracy": [accuracy]})


def cell_of(
    database: Database, folder: Path, made: list[MadeUp | None], published: str
) -> TableData:
    """Return a table of one cell, whose seeds have ended as ``made``."""
    text = f"""{HEAD}
seeds: {list(range(len(made)))}
sweep: {{rows: [{{label: only, lr: 0.1, published: {{VAL: {published}}}}}]}}
tables: {{t: {{WHICH: label, LR: lr, VAL: val_accuracy, TEST: test_accuracy}}}}
"""
    return filled(database, folder, text, lambda cell: made[cell.seed])


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(
    ("made", "published", "holds", "said"),
    [
        ([val(0.5)], "{value: 0.49, within: 0.03}", "yes", "measured 0.5, published 0.49 within"),
        ([val(0.52)], "{value: 0.49, within: 0.03}", "yes", "within 0.03: holds"),
        ([val(0.46)], "{value: 0.49, within: 0.03}", "yes", "within 0.03: holds"),
        ([val(0.5201)], "{value: 0.49, within: 0.03}", "no", "measured 0.5201, published 0.49"),
        ([val(0.3), val(0.68)], "{value: 0.49, within: 0}", "yes", "0.49 ± 0.269 over 2 seeds"),
        ([val(0.0)], "{value: 0, within: 0}", "yes", "published 0 within 0: holds"),
        ([val(float("inf"))], "{value: 0.5, within: 1}", "no", "measured inf"),
        ([None], "{value: 0.5, within: 1}", "not yet", "measured nothing (unfinished)"),
        ([FAILED], "{value: 0.5, within: 1}", "not yet", "measured nothing (failed)"),
        ([DIVERGED], "{value: 0.5, within: 1}", "no", "measured nothing (diverged)"),
        ([val(0.5), None], "{value: 0.5, within: 1}", "not yet", "(1 of 2 seeds; 1 unfinished)"),
        ([val(0.5), DIVERGED], "{value: 0.5, within: 1}", "no", "(1 of 2 seeds; 1 diverged)"),
        ([MadeUp()], "{value: 0.5, within: 1}", "no", "nothing (there is no such number)"),
    ],
)
def test_mean_over_all_seeds_holds_within_the_tolerance(
    database: Database,
    tmp_path: Path,
    made: list[MadeUp | None],
    published: str,
    holds: str,
    said: str,
) -> None:
    table = cell_of(database, tmp_path, made, published)
    (held,) = tolerance_checks(table)
    assert (held.entry.holds, to_records(table)[0]["VAL_holds"]) == (holds, holds)
    assert str(held).startswith("table t, made_up:0 (WHICH: only, LR: 0.1), VAL: measured ")
    assert said in str(held)
    words = {"yes": ": holds", "no": ": does not hold", "not yet": ": not yet"}
    assert str(held).endswith(words[holds])


def test_plain_published_value_has_no_verdict(database: Database, tmp_path: Path) -> None:
    table = cell_of(database, tmp_path, [val(0.5)], "0.5")
    assert tolerance_checks(table) == []
    assert [key for key in to_records(table)[0] if key.startswith("VAL")] == [
        "VAL",
        "VAL_published",
        "VAL_difference",
    ]


TOLERANCES = f"""{HEAD}
seeds: [0, 1]
sweep:
  rows:
    - {{labels: {{NET: a, KIND: x}}, lr: 0.1, published: {{VAL: {{value: 0.5, within: 0.03}}}}}}
    - {{labels: {{NET: a, KIND: y}}, lr: 0.2, published: {{VAL: {{value: 0.4, within: 0.005}}}}}}
    - {{labels: {{NET: b, KIND: x}}, lr: 0.3, published: {{VAL: {{value: 0.5, within: 1}}}}}}
    - {{labels: {{NET: b, KIND: y}}, lr: 0.4, published: {{VAL: 0.5, TEST: 0.25}}}}
tables:
  tolerances:
    NET: NET
    KIND: KIND
    VAL: {{metric: val_accuracy, mark: max}}
    TEST: test_accuracy
"""


def four(cell: Cell) -> MadeUp | None:
    if cell.labels == {"NET": "b", "KIND": "x"} and cell.seed:
        return None
    accuracy = 0.5 + cell.seed / 50 - cell.position / 10
    return MadeUp({"val_accuracy": [accuracy]}, test_accuracy=0.25)


def test_every_format_shows_tolerance_and_verdict(database: Database, tmp_path: Path) -> None:
    table = filled(database, tmp_path, TOLERANCES, four)
    for form in FORMATS:
        text = render(table, form)
        golden = GOLDEN / f"tolerances.{form}"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8")


@pytest.mark.slow
def test_pivoted_column_has_the_verdicts_of_its_cells(database: Database, tmp_path: Path) -> None:
    text = TOLERANCES.replace("    NET: NET\n", "    pivot: KIND\n    columns:\n      NET: NET\n")
    text = text.replace("    KIND: KIND\n    VAL", "      KIND: KIND\n      VAL")
    text = text.replace("    TEST: test_accuracy\n", "").replace(", TEST: 0.25", "")
    table = filled(database, tmp_path, text, four)
    assert [(row["x_holds"], row["y_holds"]) for row in to_records(table)] == [
        ("yes", "no"),
        ("not yet", None),
    ]


@pytest.mark.slow
def test_values_that_were_measured_otherwise_get_no_verdict(
    database: Database, tmp_path: Path
) -> None:
    table = replace(filled(database, tmp_path, TOLERANCES, four), is_compared=False)
    assert "holds" not in render(table, "text")
    assert "VAL_within" not in to_records(table)[0]

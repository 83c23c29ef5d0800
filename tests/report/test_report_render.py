"""How tables look: golden files for each format, in ``golden/``.

``UPDATE_GOLDEN=1 pytest tests/report/test_report_render.py`` writes them anew.
"""

import json
import os
from pathlib import Path

import pytest
from made_up import HEAD, MadeUp, filled

from runner.core.errors import UsageError
from runner.core.run import Cell
from runner.report.tables.render import FORMATS, render
from runner.report.tables.table import TableData
from runner.store.database import Database

GOLDEN = Path(__file__).parent / "golden"
SEEDS = f"""{HEAD}
seeds: [0, 1]
sweep:
  rows:
    - {{label: "plain | simple", lr: 0.1, published: {{VAL: 0.5}}}}
    - {{label: "größer", lr: 0.00025, batch_norm: true}}
    - {{label: stopped, lr: 0.3, hidden: [64, 32]}}
    - {{label: broken, lr: 10}}
    - {{label: wild, lr: 100}}
    - {{label: missing, lr: 1}}
tables:
  by_seed:
    WHICH: label
    LR: lr
    HIDDEN: hidden
    NORM: batch_norm
    VAL: {{metric: val_accuracy, mark: max}}
    THIRD: {{metric: val_accuracy, at: 3, digits: 1}}
    EPOCH: best_epoch
    LOSS: {{metric: val_loss, at: min, mark: min, digits: 4}}
"""
SINGLE = f"""{HEAD}
sweep: {{grid: {{lr: [0.1, 0.2, 0.3], optimizer: [sgd, adam]}}}}
tables:
  single:
    columns:
      LR: lr
      OPTIMIZER: optimizer
      VAL: {{metric: val_accuracy, mark: max}}
      PARAMETERS: parameters
      MINUTES: {{metric: seconds / 60, digits: 2}}
    order: -VAL
"""


def by_seed(cell: Cell) -> MadeUp | None:
    first = cell.seed == 0
    curve = [0.25, 0.5 + 0.125 * cell.seed, 0.375, 1.0]
    metrics = {"val_accuracy": curve, "val_loss": [2.0, 1.0, 1.5, 0.5 + cell.seed]}
    return {
        "plain | simple": MadeUp(metrics, best_epoch=2),
        "größer": MadeUp(metrics, best_epoch=4),
        "stopped": MadeUp({name: values[: 2 + 2 * first] for name, values in metrics.items()}, 2),
        "broken": MadeUp(metrics) if first else MadeUp(status="failed"),
        "wild": MadeUp(status="diverged"),
        "missing": None if first else MadeUp(status="failed"),
    }[cell.labels["label"]]


def single(cell: Cell) -> MadeUp | None:
    made = MadeUp({"val_accuracy": [0.5, 0.9 - cell.position / 10]}, best_epoch=2)
    return [made, made, MadeUp(status="failed"), made, None, made][cell.position]


def tables(database: Database, folder: Path) -> dict[str, TableData]:
    return {
        "by_seed": filled(database, folder, SEEDS, by_seed),
        "single": filled(database, folder, SINGLE.replace("made_up", "one_seed"), single),
    }


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("form", FORMATS)
def test_format_looks_like_its_golden_file(database: Database, tmp_path: Path, form: str) -> None:
    for name, table in tables(database, tmp_path).items():
        text = render(table, form)
        golden = GOLDEN / f"{name}.{form}"
        if os.environ.get("UPDATE_GOLDEN"):
            GOLDEN.mkdir(exist_ok=True)
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8")


@pytest.mark.slow
def test_json_is_json_with_the_titles_as_keys(database: Database, tmp_path: Path) -> None:
    content = json.loads(render(tables(database, tmp_path)["single"], "json"))
    assert [row["OPTIMIZER"] for row in content["rows"]][:3] == ["sgd", "adam", "adam"]
    assert content["rows"][0]["VAL"] == 0.9


def test_unknown_format_names_those_that_there_are(database: Database, tmp_path: Path) -> None:
    table = filled(database, tmp_path, HEAD)
    with pytest.raises(UsageError, match="did you mean: markdown\n    allowed: text, markdown"):
        render(table, "markdwon")

"""What changed of an experiment since another version of it was finished."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import HEAD, MadeUp, record_made_up

from runner.api.since_finished import since_finished
from runner.core.errors import DamagedDatabase
from runner.core.run import Cell
from runner.report.page.structure import read_structure
from runner.store.database import Database, open_database
from runner.store.queries import stored_experiments

pytestmark = pytest.mark.slow

FIRST = HEAD + "seeds: [0, 1]\nsweep: {grid: {lr: [0.1, 0.01, 0.001]}}\n"
SECOND = FIRST.replace("epochs: 4", "epochs: 8").replace("0.001", "1.0")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "results.db") as opened:
        yield opened


def made(validation: float, test: float) -> MadeUp:
    return MadeUp({"val_accuracy": [validation]}, test_accuracy=test)


def early(cell: Cell) -> MadeUp:
    return made(0.25 + 0.25 * cell.seed, 0.5)


def late(cell: Cell) -> MadeUp:
    return made(0.25 + 0.25 * cell.position, 0.75)


def found(database: Database) -> dict[str, Any] | None:
    (stored,) = stored_experiments(database)
    return since_finished(database, read_structure(database, stored))


def test_nothing_was_finished_before(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, FIRST, early)
    assert found(database) is None


def test_spec_cells_and_numbers(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, FIRST, early)
    (before,) = stored_experiments(database)
    record_made_up(database, tmp_path, SECOND, late)
    changed = found(database)
    assert changed is not None
    assert changed["recorded"] == before.recorded
    assert changed["spec"] == [
        {"name": "train.epochs", "first": 4, "second": 8},
        {"name": "sweep.grid.lr", "first": [0.1, 0.01, 0.001], "second": [0.1, 0.01, 1.0]},
    ]
    assert changed["cells"] == {"same": 0, "other": 4, "new": 2, "gone": 2}
    assert (changed["new"], changed["gone"]) == (["lr=1"], ["lr=0.001"])
    assert changed["more"] == 0
    slow, fast = changed["moved"]
    assert (slow["name"], slow["cell"], slow["runs"]) == ("lr=0.1", "0:0", 2)
    pairs = {"val_accuracy": [0.375, 0.25], "test_accuracy": [0.5, 0.75]}
    assert {name: slow["numbers"][name] for name in pairs} == pairs
    assert fast["numbers"]["val_accuracy"] == [0.375, 0.5]


def test_what_is_not_done_has_no_numbers_yet(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, FIRST, early)
    record_made_up(
        database, tmp_path, SECOND, lambda cell: late(cell) if cell.seed == cell.position else None
    )
    changed = found(database)
    assert changed is not None
    assert [(row["name"], row["runs"]) for row in changed["moved"]] == [
        ("lr=0.1", 1),
        ("lr=0.01", 1),
    ]
    assert changed["moved"][0]["numbers"]["val_accuracy"] == [0.25, 0.25]
    assert changed["moved"][1]["numbers"]["val_accuracy"] == [0.5, 0.5]


def test_cells_with_the_same_run_are_counted_alone(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, FIRST, early)
    record_made_up(database, tmp_path, FIRST.replace("0.001", "1.0"), late)
    changed = found(database)
    assert changed is not None
    assert changed["cells"] == {"same": 4, "other": 0, "new": 2, "gone": 2}
    assert changed["moved"] == []


def test_a_damaged_number_of_before_is_refused(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, FIRST, early)
    with sqlite3.connect(database.address) as raw:
        raw.execute("UPDATE evaluations SET value = 0.9")
    record_made_up(database, tmp_path, SECOND, late)
    with pytest.raises(DamagedDatabase, match="test_accuracy"):
        found(database)

"""Cells of folds in the database: each has a place, and earlier ones keep their checksums."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from recorded import cell_of, change, want

from runner.core.errors import DamagedDatabase
from runner.store.catalogue import SpecRecord, record_experiment
from runner.store.cell_results import cell_results
from runner.store.checking import check_everything
from runner.store.checksums import experiment_checksums
from runner.store.database import Database, open_database
from runner.store.dump import canonical_dump
from runner.store.queries import run_rows
from runner.store.stored_cells import stored_cells

FIXTURES = Path(__file__).resolve().parent / "fixtures"


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    with open_database(where) as opened:
        yield opened


def record_folds(database: Database) -> None:
    """Record two folds with two seeds each, without runs."""
    cells = [replace(cell_of(0, seed), fold=fold) for seed in (0, 1) for fold in (1, 2)]
    spec = SpecRecord("e", "", "about", "e.yaml", {}, "text")
    record_experiment(database, spec, [(cell, None) for cell in cells], [], {})


def problems(path: str | Path) -> list[str]:
    database = open_database(path)
    with database.read() as connection:
        found = [problem for each in check_everything(connection) for problem in each.problems]
    database.close()
    return found


def test_cells_of_folds_are_read_in_the_order_of_the_spec(database: Database) -> None:
    record_folds(database)
    expected = [(0, 1, 0), (0, 1, 1), (0, 2, 0), (0, 2, 1)]
    for rows in (stored_cells(database, "e"), cell_results(database, "e", "")):
        assert [(row.position, row.fold, row.seed) for row in rows] == expected
    listed = [(row["position"], row["fold"], row["seed"]) for row in run_rows(database)]
    assert listed == expected


def test_a_dump_names_the_fold_where_there_is_one(database: Database) -> None:
    want(database, ["r1"])
    assert '"fold"' not in "\n".join(canonical_dump(database))
    record_folds(database)
    lines = [line for line in canonical_dump(database) if line.startswith('{"cell"')]
    assert ['"fold":1' in line for line in lines] == [True, True, False, False]


def test_a_fold_that_is_changed_is_found(database: Database, where: str) -> None:
    record_folds(database)
    assert problems(where) == []
    change(where, "UPDATE cells SET fold = 3 WHERE fold = 2 AND seed = 1")
    with pytest.raises(DamagedDatabase, match="'e' or its cells"):
        stored_cells(database, "e")


@pytest.mark.parametrize("name", ["schema_0004.db", "schema_0001.db"])
def test_earlier_cells_have_no_fold_and_the_checksums_that_they_had(
    name: str, tmp_path: Path
) -> None:
    path = Path(shutil.copy(FIXTURES / name, tmp_path / "old.db"))
    columns = "experiment_id, position, seed, labels, swept, published, settings_key, run_key"
    query = f"SELECT {columns} FROM cells ORDER BY 1, 2, 3"
    sums = "SELECT id, checksum FROM experiments ORDER BY id"
    with closing(sqlite3.connect(path)) as raw:
        before = raw.execute(query).fetchall()
        known = {row[1] for row in raw.execute("PRAGMA table_info(experiments)")}
        sealed = raw.execute(sums).fetchall() if "checksum" in known else None
    database = open_database(path)
    with database.read() as connection:
        assert connection.exec_driver_sql(query).fetchall() == before
        folds = connection.exec_driver_sql("SELECT DISTINCT fold FROM cells").scalars().all()
        assert folds == [0]
        stored = dict(connection.exec_driver_sql(sums).fetchall())
        assert experiment_checksums(connection, list(stored)) == stored
    database.close()
    assert sealed is None or stored == dict(sealed)

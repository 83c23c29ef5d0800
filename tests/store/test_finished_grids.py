"""Earlier versions of an experiment are kept when every cell of them had a result."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from made_up import HEAD, MadeUp, Recipe, record_made_up
from recorded import change

from runner.core.errors import DamagedDatabase
from runner.core.run import Cell
from runner.store.checking import check_everything, refuse
from runner.store.database import Database, open_database
from runner.store.finished_grids import FinishedGrid, last_finished
from runner.store.queries import stored_experiments

FIXTURES = Path(__file__).resolve().parent / "fixtures"
FIRST = HEAD + "sweep: {grid: {lr: [0.1, 0.01]}}\n"
SECOND = HEAD + "sweep: {grid: {lr: [0.1, 0.02]}}\n"
THIRD = HEAD + "sweep: {grid: {lr: [0.1]}}\n"


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    with open_database(where) as opened:
        yield opened


def done(_: Cell) -> MadeUp:
    return MadeUp()


def begun(cell: Cell) -> MadeUp | None:
    return None if cell.position else MadeUp()


def failed(cell: Cell) -> MadeUp:
    return MadeUp(status="failed" if cell.position else "done")


def finished(database: Database) -> FinishedGrid | None:
    (stored,) = stored_experiments(database)
    return last_finished(database, stored.id)


def swept(grid: FinishedGrid | None) -> list[float]:
    assert grid is not None
    return [cell["swept"]["train.optimizer.lr"] for cell in grid.cells]


def test_the_version_before_is_kept_with_its_runs(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, FIRST, done)
    assert finished(database) is None
    (before,) = stored_experiments(database)
    with database.read() as connection:
        keys = connection.exec_driver_sql("SELECT run_key FROM cells ORDER BY position").all()
    record_made_up(database, tmp_path, SECOND, done)
    found = finished(database)
    assert swept(found) == [0.1, 0.01]
    assert found is not None
    assert found.recorded == before.recorded
    assert found.document == before.document
    assert [cell["run_key"] for cell in found.cells] == [key for (key,) in keys]
    with database.read() as connection:
        refuse(database.address, check_everything(connection))


def test_the_same_spec_again_is_no_other_version(database: Database, tmp_path: Path) -> None:
    for _ in range(2):
        record_made_up(database, tmp_path, FIRST, done)
    assert finished(database) is None
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM finished_grids").scalar() == 0


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("recipe", [begun, failed])
def test_what_was_not_finished_is_not_kept(
    database: Database, tmp_path: Path, recipe: Recipe
) -> None:
    record_made_up(database, tmp_path, FIRST, done)
    record_made_up(database, tmp_path, SECOND, recipe)
    record_made_up(database, tmp_path, THIRD, done)
    assert swept(finished(database)) == [0.1, 0.01]


@pytest.mark.slow
def test_who_goes_back_compares_with_the_one_between(database: Database, tmp_path: Path) -> None:
    for text, other in ((FIRST, None), (SECOND, [0.1, 0.01]), (FIRST, [0.1, 0.02])):
        record_made_up(database, tmp_path, text, done)
        assert (other and swept(finished(database))) == other
    record_made_up(database, tmp_path, SECOND, done)
    assert swept(finished(database)) == [0.1, 0.01]  # of each version there is one row
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM finished_grids").scalar() == 2


def test_variants_have_versions_of_their_own(database: Database, tmp_path: Path) -> None:
    record_made_up(database, tmp_path, FIRST, done)
    record_made_up(database, tmp_path, SECOND, done, sets=["batch_size=16"])
    record_made_up(database, tmp_path, THIRD, done, sets=["batch_size=16"])
    of = {each.variant: last_finished(database, each.id) for each in stored_experiments(database)}
    assert of.pop("") is None
    (variant,) = of.values()
    assert swept(variant) == [0.1, 0.02]


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("column", ["document", "cells"])
def test_a_damaged_version_is_refused(database: Database, tmp_path: Path, column: str) -> None:
    record_made_up(database, tmp_path, FIRST, done)
    record_made_up(database, tmp_path, SECOND, done)
    other = {"document": '{"name": "other"}', "cells": "[]"}[column]
    change(database.address, f"UPDATE finished_grids SET {column} = '{other}'")
    with pytest.raises(DamagedDatabase, match="an earlier version of experiment"):
        finished(database)
    with database.read() as connection, pytest.raises(DamagedDatabase, match="earlier version"):
        refuse(database.address, check_everything(connection))


def test_a_database_of_before_gets_the_table(tmp_path: Path) -> None:
    path = Path(shutil.copy(FIXTURES / "schema_0007.db", tmp_path / "old.db"))
    with closing(sqlite3.connect(path)) as raw:
        before = raw.execute("SELECT * FROM run_summary ORDER BY run").fetchall()
    with open_database(path) as database:
        assert finished(database) is None
        with database.read() as connection:
            refuse(path, check_everything(connection))
            query = "SELECT * FROM run_summary ORDER BY run"
            after = [tuple(row) for row in connection.exec_driver_sql(query)]
    assert after == before != []

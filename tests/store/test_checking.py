"""What is not as it was recorded is named by whoever would show it, and let through by others."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres import PostgresServer
from recorded import chain_of, change, do_run, take, want

from runner.components.measures import STANDARD
from runner.core.errors import DamagedDatabase
from runner.core.reader import SPLITS
from runner.store import integrity
from runner.store.addresses import address_of, short_name
from runner.store.cell_results import cell_results, epoch_metrics, step_losses
from runner.store.checking import check_analyses, check_everything, check_results
from runner.store.checksums import RESULT, STAGES, STEPS, at_ends
from runner.store.database import Database, open_database
from runner.store.merge import import_results
from runner.store.progress import check_recorded
from runner.store.queries import run_record, run_rows, stored_experiments
from runner.store.recorder import end_attempt
from runner.store.results import record_result

COLUMN_OF = {
    "metrics": "value",
    "steps": "seconds",
    "run_epochs": "last_epoch",
    "run_stages": "reading",
    "cells": "seed",
    "evaluations": "value",
}
"""Of each table whose rows are read in order, a column."""

FIXTURE = Path(__file__).parent / "fixtures" / "schema_0001.db"


def record(where: str) -> None:
    """Record two runs, one of them with a second repetition."""
    database = open_database(where)
    want(database, ["r1", "r2"])
    do_run(database, "r1", split_at=2)
    do_run(database, "r2")
    want(database, ["r1", "r2"], rerun=1)
    do_run(database, "r2", rerun=1)
    database.close()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "results.db"
    record(str(path))
    return path


@pytest.fixture(scope="module")
def finished_on_server(postgres_server: PostgresServer) -> str:
    url = postgres_server.new_database()
    record(url)
    return short_name(address_of(url))


@pytest.fixture
def path(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(finished, tmp_path))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(shutil.copy(request.getfixturevalue("finished"), tmp_path))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database(like=request.getfixturevalue("finished_on_server"))


def problems(where: str | Path) -> list[str]:
    database = open_database(where, create=False)
    with database.read() as connection:
        found = [problem for each in check_everything(connection) for problem in each.problems]
    database.close()
    return found


def test_what_was_recorded_is_what_is_there(where: str) -> None:
    database = open_database(where)
    with database.read() as connection:
        checks = {each.kind: each for each in check_everything(connection)}
    database.close()
    assert {kind: (each.count, each.unchecked) for kind, each in checks.items()} == {
        "experiments": (1, 0),
        "runs": (2, 0),
        "results": (3, 0),
        "attempts": (8, 0),
        "environments": (1, 0),
    }
    assert problems(where) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE results SET best_epoch = 3 WHERE run_key = 'r1'", "run r1 (e:0:0) is not"),
        ("UPDATE results SET seconds = seconds + 1e-9 WHERE rerun = 1", "e:1:0), repetition 1 is"),
        ("UPDATE results SET checksum = 'x' WHERE run_key = 'r1'", "the result of run r1"),
        ("UPDATE run_epochs SET last_epoch = 1 WHERE run_key = 'r1'", "the result of run r1"),
        ("UPDATE run_stages SET position = position + 5 WHERE run_key = 'r1'", "in stages"),
        ("UPDATE stages SET kind = 'tr' WHERE stage_key = 'train-r1-0'", "recorded in stages"),
        ("UPDATE metrics SET value = value + 1e-15 WHERE split = 'val'", "in val_loss, val_acc"),
        ("DELETE FROM metrics WHERE epoch = 1 AND name = 'loss'", "in train_loss, val_loss"),
        ("UPDATE evaluations SET value = 0.75 WHERE name = 'accuracy'", "test_accuracy@ends"),
        ("UPDATE steps SET losses = '[1.0, 2.0]' WHERE epoch = 2", "in steps"),
        ("UPDATE runs SET settings = '{}'", "settings of run r1"),
        ("UPDATE experiments SET document = '{}'", "the experiment 'e' or its cells"),
        ("UPDATE cells SET published = '{\"ACC\": 0.6}' WHERE position = 1", "'e' or its cells"),
        ("DELETE FROM cells WHERE position = 1", "'e' or its cells"),
        ("UPDATE attempts SET started = started + 1", "attempt 1 at stage prepare"),
        ('UPDATE environments SET content = \'{"machine": "n"}\'', "environment 1 is not"),
    ],
)
def test_whatever_changes_is_found_by_name(where: str, statement: str, named: str) -> None:
    change(where, statement)
    found = problems(where)
    assert any(named in problem for problem in found), found


READERS: dict[str, Callable[[Database], object]] = {
    "list": run_rows,
    "figures": lambda database: cell_results(database, "e", ""),
    "curves": lambda database: epoch_metrics(database, "r1", 0),
    "step losses": lambda database: step_losses(database, "r1", 0),
    "show": lambda database: run_record(database, "r1"),
    "show another": lambda database: run_record(database, "r2"),
    "tables": stored_experiments,
    "plan": check_recorded,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "refusing"),
    [
        ("UPDATE results SET best_epoch = 3 WHERE run_key = 'r1'", {"list", "figures", "show"}),
        ("UPDATE metrics SET value = 9 WHERE epoch = 1 AND attempt_id = 2", {"curves", "show"}),
        ("UPDATE steps SET losses = '[]' WHERE attempt_id = 2", {"step losses", "show"}),
        ("UPDATE runs SET fingerprint = 'f' WHERE run_key = 'r1'", {"show"}),
        ("UPDATE cells SET seed = 7", {"list", "figures", "show", "show another", "tables"}),
        ("UPDATE attempts SET device = 'x' WHERE id = 2", {"show", "plan"}),
        ("UPDATE results SET seconds = 9 WHERE run_key = 'r2' AND rerun = 0", set()),
        (
            "UPDATE results SET status = 'failed' WHERE rerun = 1",
            {"list", "figures", "show another"},
        ),
    ],
)
def test_only_who_would_show_it_refuses(where: str, statement: str, refusing: set[str]) -> None:
    change(where, statement)
    database = open_database(where)
    refused = set()
    for name, read in READERS.items():
        try:
            read(database)
        except DamagedDatabase:
            refused.add(name)
    database.close()
    assert refused == refusing


def test_a_text_in_the_place_of_a_number_is_found(path: Path) -> None:
    """A server's columns hold numbers alone."""
    change(path, "UPDATE metrics SET value = 'x' WHERE epoch = 1 AND split = 'val'")
    assert any("in val_loss" in problem for problem in problems(path))


@pytest.mark.parametrize(
    ("statement", "reader", "helps"),
    [
        ("UPDATE results SET best_epoch = 3 WHERE run_key = 'r1'", "list", True),
        ("UPDATE cells SET seed = 7", "list", False),
        ("UPDATE runs SET fingerprint = 'f' WHERE run_key = 'r1'", "show", False),
        ("UPDATE attempts SET device = 'x' WHERE id = 2", "plan", False),
    ],
)
def test_doing_a_run_again_is_named_only_where_it_helps(
    where: str, statement: str, reader: str, helps: bool
) -> None:
    change(where, statement)
    database = open_database(where)
    with pytest.raises(DamagedDatabase, match="`runner db check` names all of it") as refused:
        READERS[reader](database)
    database.close()
    assert ("--rerun" in str(refused.value)) == helps


def test_what_has_no_checksum_is_counted_and_shown(where: str) -> None:
    change(where, "UPDATE results SET checksum = NULL, seconds = 9")
    database = open_database(where)
    with database.read() as connection:
        results = check_results(connection)
    assert (results.count, results.unchecked, results.problems) == (0, 3, ())
    assert len(run_rows(database)) == 2
    database.close()


def test_an_older_database_gets_its_checksums_when_it_is_migrated(tmp_path: Path) -> None:
    path = Path(shutil.copy(FIXTURE, tmp_path / "results.db"))
    database = open_database(path)
    with database.read() as connection:
        checks = list(check_everything(connection))
    database.close()
    assert all(each.count and not each.unchecked and not each.problems for each in checks)
    change(path, "UPDATE metrics SET value = value / 2")
    assert problems(path)


def test_a_result_is_not_put_together_from_damaged_attempts(place: Callable[[str], str]) -> None:
    database = open_database(place("results"))
    want(database, ["r1"])
    do_run(database, "r1")
    with database.write() as connection:
        for table in ("run_epochs", "results"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql("UPDATE attempts SET outcome = NULL")
    with pytest.raises(DamagedDatabase, match="attempt"):
        record_result(database, "r1", 0)
    database.close()


def test_a_further_repetition_does_not_hide_damage_in_what_it_shares(where: str) -> None:
    """Its checksum must not be taken from damaged settings for granted."""
    change(where, "UPDATE runs SET settings = '{}'")
    database = open_database(where)
    want(database, ["r1", "r2"], rerun=2)
    do_run(database, "r1", rerun=2)
    database.close()
    assert any("settings of run r1" in problem for problem in problems(where))


def test_an_attempt_that_is_at_work_has_no_checksum_yet(where: str) -> None:
    database = open_database(where)
    want(database, ["r1", "r2", "r3"])
    claim = take(database, chain_of("r3")[1].key)
    check_recorded(database)
    end_attempt(database, claim, "failed", 1.0, error="why")
    check_recorded(database)
    database.close()
    change(where, "UPDATE attempts SET error = 'who' WHERE status = 'failed'")
    assert len(problems(where)) == 1


def test_results_are_not_taken_from_a_damaged_reference(where: str, tmp_path: Path) -> None:
    change(where, "UPDATE metrics SET value = value / 2 WHERE attempt_id = 2")
    reference, mine = open_database(where, read_only=True), open_database(tmp_path / "mine.db")
    with pytest.raises(DamagedDatabase, match="the result of run r1"):
        import_results(mine, reference, ["r1", "r2"])
    assert [each.run_key for each in import_results(mine, reference, ["r2"])] == ["r2"]
    reference.close(), mine.close()
    assert problems(tmp_path / "mine.db") == []


def test_parts_are_those_that_are_stored(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        (parts,) = raw.execute("SELECT checksum FROM results WHERE run_key = 'r1'").fetchone()
    splits = [split for split in SPLITS if split != "train_eval"]
    measured = [f"{split}_{measure.name}" for split in splits for measure in STANDARD]
    for part in (RESULT, STAGES, STEPS, *measured, *map(at_ends, measured)):
        assert f'"{part}"' in parts


def test_another_schema_than_was_made_is_damage_but_not_what_stands_beside_it(path: Path) -> None:
    change_schema = "CREATE INDEX mine ON metrics (value)"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(change_schema)
        raw.execute("CREATE VIEW my_own AS SELECT 1")
        raw.commit()
    open_database(path).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP VIEW latest_results")
        raw.execute("CREATE VIEW latest_results AS SELECT * FROM results")
        raw.commit()
    with pytest.raises(DamagedDatabase, match="tables and views are not those"):
        open_database(path)


@pytest.mark.parametrize("statement", ["DELETE FROM database", "UPDATE database SET identity = ''"])
def test_a_database_without_its_identity_is_refused(where: str, statement: str) -> None:
    change(where, statement)
    with pytest.raises(DamagedDatabase, match="identit"):
        open_database(where)


@pytest.mark.parametrize("size", [0, integrity.WHOLE_BYTES])
def test_an_index_that_hides_results_is_damage(
    size: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "WHOLE_BYTES", size)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA writable_schema = ON")
        page = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_results_1'"
        (number,) = raw.execute(page).fetchone()
        (page_size,) = raw.execute("PRAGMA page_size").fetchone()
        raw.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(path.read_bytes())
    start = (number - 1) * page_size
    at = content.index(b"r1", start, start + page_size)
    content[at : at + 2] = b"r9"
    path.write_bytes(content)
    with pytest.raises(DamagedDatabase, match="missing from index"):
        open_database(path)


def test_keys_that_are_asked_for_are_gone_through_once_however_many_rows_there_are(
    where: str,
) -> None:
    class Keys(list[str]):
        times = 0

        def __iter__(self) -> Iterator[str]:
            self.times += 1
            return super().__iter__()

    for number in range(3):
        change(
            where,
            "INSERT INTO analyses (run_key, rerun, analysis_key, kind, stage_key)"
            f" VALUES ('r1', 0, 'key{number}', 'sizes', 'train-r1-0')",
        )
    keys = Keys(["key1"])
    with closing(open_database(where, create=False)) as database, database.read() as connection:
        (analyses, _) = check_analyses(connection, ["r1"], keys)
    assert len(analyses.problems) == 1  # of the chosen one, whose stage is no analysis
    assert keys.times == 1


@pytest.mark.postgres
def test_the_order_in_which_a_server_finds_rows_is_no_damage(
    finished_on_server: str, postgres_server: PostgresServer
) -> None:
    where = postgres_server.new_database(like=finished_on_server)
    database = open_database(where, create=False)
    with database.write() as connection:
        for table, column in COLUMN_OF.items():
            rows = connection.exec_driver_sql(f"SELECT ctid FROM {table}").all()
            for (place,) in reversed(rows):  # the server writes each behind the others
                connection.exec_driver_sql(
                    f"UPDATE {table} SET {column} = {column} WHERE ctid = '{place}'"
                )
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        for how in ("indexscan", "bitmapscan", "indexonlyscan"):
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET enable_{how} = off')
    database.close()
    assert problems(where) == []

"""Migrations end at the schema and views that the code declares."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from runner.core.errors import StoreBusy, UsageError
from runner.store import sqlite as sqlite_module
from runner.store.analyses import WantedAnalysis, record_analyses
from runner.store.checking import check_everything, refuse
from runner.store.database import HEAD, open_database
from runner.store.migrations import config
from runner.store.schema import metadata
from runner.store.views import VIEWS

FIXTURES = Path(__file__).resolve().parent / "fixtures"


def squeezed(text: str) -> str:
    return " ".join(text.split())


def schema_of(path: Path, kind: str) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL"
    with closing(sqlite3.connect(path)) as raw:
        return {name: squeezed(sql) for name, sql in raw.execute(query, [kind])}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "results.db"
    open_database(path).close()
    return path


def test_migrated_tables_are_the_declared_ones(made: Path) -> None:
    database = open_database(made)
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
    database.close()


@pytest.mark.slow
def test_migrated_tables_are_declared_in_the_same_words(made: Path, tmp_path: Path) -> None:
    direct = tmp_path / "direct.db"
    engine = sa.create_engine(f"sqlite:///{direct}")
    metadata.create_all(engine)
    engine.dispose()
    migrated = schema_of(made, "table")
    del migrated["alembic_version"]
    expected = schema_of(direct, "table")
    assert set(migrated) == set(expected)
    for name, text in expected.items():
        assert ("WITHOUT ROWID" in migrated[name]) == ("WITHOUT ROWID" in text)
    assert set(schema_of(made, "index")) == set(schema_of(direct, "index"))


def test_migrated_views_are_the_declared_ones(made: Path) -> None:
    assert schema_of(made, "view") == {name: squeezed(sql) for name, sql in VIEWS.items()}


def test_the_first_schema_gets_the_summary_of_today(tmp_path: Path) -> None:
    """Its variants are told apart, and its runs that were tested at the last epoch have a test."""
    path = Path(shutil.copy(FIXTURES / "schema_0001.db", tmp_path / "old.db"))
    open_database(path).close()
    query = "SELECT variant, lr, seed, round(test_accuracy, 2) FROM run_summary ORDER BY 1, 2, 3"
    with closing(sqlite3.connect(path)) as raw:
        rows = raw.execute(query).fetchall()
    as_written = [(0.01, 0, 0.33), (0.01, 1, 0.33), (0.1, 0, 1.0), (0.1, 1, 0.33)]
    assert rows == [
        *[("", *row) for row in as_written],
        *[('evaluate.test="last"', *row) for row in as_written],
        ("profile quick", 0.01, 0, 0.33),
        ("profile quick", 0.1, 0, 0.42),
    ]
    assert schema_of(path, "view") == {name: squeezed(sql) for name, sql in VIEWS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["schema_0001.db", "schema_0004.db"])
def test_what_runs_read_is_the_same_after_the_migrations(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(FIXTURES / name, tmp_path / "old.db"))
    queries = (
        "SELECT run_key, rerun, attempt_id, first_epoch, last_epoch FROM {epochs} ORDER BY 1, 2, 3",
        "SELECT run_key, rerun, epoch, split, name, value FROM run_metrics ORDER BY 1, 2, 3, 4, 5",
        "SELECT run_key, rerun, epoch, learning_rate, losses FROM run_steps ORDER BY 1, 2, 3",
    )
    rows = []
    for table in ("reads", "run_epochs"):
        with closing(sqlite3.connect(path)) as raw:
            rows.append([raw.execute(query.format(epochs=table)).fetchall() for query in queries])
        open_database(path).close()  # looks for damage, too
    assert all(rows[0])
    assert rows[0] == rows[1]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    database = open_database(path)
    with database.read() as connection:
        refuse(path, check_everything(connection))
    database.close()


@pytest.mark.parametrize("name", ["schema_0001.db", "schema_0004.db", "schema_0008.db"])
def test_old_runs_take_analyses_after_the_migrations(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(FIXTURES / name, tmp_path / "old.db"))
    database = open_database(path)
    query = "SELECT run_key, rerun, stage_key FROM run_stages JOIN attempts USING (stage_key)"
    with database.read() as connection:
        run, rerun, stage = connection.exec_driver_sql(f"{query} WHERE status = 'done'").first()
    record_analyses(database, [WantedAnalysis(run, rerun, "key", "robustness", stage)])
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO analysis_values (attempt_id, name, dims, value)"
            f" SELECT id, 'accuracy', '{{}}', 0.5 FROM attempts WHERE stage_key = '{stage}'"
        )
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM run_analyses").fetchall()
    assert rows == [(run, rerun, "key", "robustness", "accuracy", "{}", 0.5)]
    database.close()


@pytest.mark.parametrize("name", ["schema_0007.db", "schema_0008.db"])
def test_runs_of_yesterday_are_whole_after_the_migrations(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(FIXTURES / name, tmp_path / "old.db"))
    query = "SELECT lr, seed, val_accuracy, test_accuracy FROM run_summary ORDER BY 1, 2"
    with closing(sqlite3.connect(path)) as raw:
        before = raw.execute(query).fetchall()
    with open_database(path) as database, database.read() as connection:
        refuse(path, check_everything(connection))
        assert connection.exec_driver_sql(query).fetchall() == before
        assert len(before) == 2


def test_views_call_no_function_of_sqlite_but_to_open_json() -> None:
    called = {
        name: set(re.findall(r"\b([a-z_]+)\(", text)) - {"exists"} for name, text in VIEWS.items()
    }
    assert called.pop("run_summary") == {"coalesce", "json_extract"}
    assert set().union(*called.values()) == set()


def test_head_is_the_newest_script(made: Path) -> None:
    database = open_database(made)
    with database.read() as connection:
        scripts = ScriptDirectory.from_config(config(connection))
        assert scripts.get_current_head() == HEAD
        assert scripts.get_heads() == [HEAD]
    database.close()


def test_a_database_of_a_newer_version_is_refused(made: Path) -> None:
    with closing(sqlite3.connect(made)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    with pytest.raises(UsageError, match=r"has schema 9999, this program knows .* newer"):
        open_database(made)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(
    journal: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA journal_mode = {journal}")
        raw.execute("CREATE TABLE songs (title TEXT)")
        raw.commit()
    content = path.read_bytes()
    with pytest.raises(UsageError, match="another program"):
        open_database(path)
    assert path.read_bytes() == content


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, but longer than a header\n" * 40)
    with pytest.raises(UsageError, match="cannot be opened as a results database"):
        open_database(path)
    assert path.read_text().startswith("no database")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        open_database(tmp_path)


def test_a_missing_database_is_made_only_when_wanted(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.db"
    with pytest.raises(UsageError, match="no database at"):
        open_database(path, create=False)
    assert not path.parent.exists()
    open_database(path).close()
    assert path.is_file()


def test_a_database_of_the_first_schema_keeps_its_cells_and_views(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    shutil.copy(FIXTURES / "schema_0001.db", path)
    query = "SELECT position, seed, labels, run_key FROM cells ORDER BY 1, 2, 4"
    with closing(sqlite3.connect(path)) as raw:
        before = raw.execute(query).fetchall()
    assert before
    open_database(path).close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute(query).fetchall() == before
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        (done,) = raw.execute("SELECT count(*) FROM run_summary WHERE status = 'done'").fetchone()
        assert done > 0
        raw.execute("UPDATE cells SET run_key = NULL")
    assert schema_of(path, "view") == {name: squeezed(sql) for name, sql in VIEWS.items()}


def test_opening_again_migrates_nothing(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: object) -> None:
        raise AssertionError("migrated again")

    monkeypatch.setattr("runner.store.migrations.upgrade", refuse)
    first = open_database(made)
    second = open_database(made)
    assert first.identity() == second.identity()
    first.close(), second.close()


def test_two_databases_have_different_identities(made: Path, tmp_path: Path) -> None:
    other = open_database(tmp_path / "other.db")
    mine = open_database(made)
    assert other.identity() != mine.identity()
    other.close(), mine.close()


def test_the_database_is_in_wal_mode_with_foreign_keys(made: Path) -> None:
    database = open_database(made)
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        busy = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        assert busy == sqlite_module.BUSY_SECONDS * 1000
    database.close()


def test_a_copy_out_of_wal_mode_is_switched_back(made: Path) -> None:
    with closing(sqlite3.connect(made)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
    open_database(made).close()
    with closing(sqlite3.connect(made)) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_error_in_a_transaction_leaves_nothing(made: Path) -> None:
    database = open_database(made)

    def write_and_fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO environments (key, content) VALUES ('k', '{}')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM environments").scalar() == 0
    database.close()


def test_a_writing_transaction_holds_the_lock_from_its_start(made: Path) -> None:
    database = open_database(made)
    with database.write(), closing(sqlite3.connect(made, timeout=0)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    database.close()


def test_a_lock_that_is_held_too_long_is_said_in_words(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0)
    database = open_database(made)
    with closing(sqlite3.connect(made, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="run the same command again"), database.write():
            pass
    database.close()


@pytest.mark.parametrize("name", ["a?b.db", "p%41.db", "ü #1.db"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    open_database(tmp_path / name).close()
    assert (tmp_path / name).is_file()

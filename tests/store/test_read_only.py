"""A database that is opened read-only stays as it is, byte for byte, with nothing beside it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from recorded import do_run, want

import runner
from runner.core.errors import UsageError
from runner.store.database import HEAD, Database, open_database
from runner.store.queries import run_rows
from runner.store.reference import REFERENCE_FILE, open_reference


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished database out of WAL mode."""
    path = tmp_path_factory.mktemp("finished") / "results.db"
    database = open_database(path)
    want(database, ["r1"])
    do_run(database, "r1")
    database.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
    return path


@pytest.fixture
def packed(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished database, in a folder of its own."""
    (tmp_path / "ships").mkdir()
    return Path(shutil.copy(finished, tmp_path / "ships"))


def set_version(path: Path, version: str) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = ?", [version])
        raw.commit()


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_it_is_read_and_nothing_appears_beside_it(packed: Path, journal: str) -> None:
    with closing(sqlite3.connect(packed)) as raw:
        raw.execute(f"PRAGMA journal_mode = {journal}")
    before = packed.read_bytes()
    database = open_database(packed, read_only=True)
    assert [row["status"] for row in run_rows(database)] == ["done"]
    assert [each.name for each in packed.parent.iterdir()] == ["results.db"]
    database.close()
    assert packed.read_bytes() == before


def test_a_file_that_must_not_be_written_can_be_read(packed: Path) -> None:
    packed.chmod(0o444)
    packed.parent.chmod(0o555)
    database = open_database(packed, read_only=True)
    assert len(run_rows(database)) == 1
    database.close()
    packed.parent.chmod(0o755)


def test_writing_is_an_error_in_words(packed: Path) -> None:
    database = open_database(packed, read_only=True)
    with pytest.raises(UsageError, match=r"results\.db is read-only; .* --db"):
        want(database, ["r2"])
    database.close()


def test_sqlite_refuses_too(packed: Path) -> None:
    database = open_database(packed, read_only=True)
    with database.read() as connection, pytest.raises(Exception, match="readonly database"):
        connection.exec_driver_sql("DELETE FROM results")
    database.close()


@pytest.mark.parametrize(
    ("version", "message"),
    [("0000", f"has schema 0000, this program knows 0001 to {HEAD}"), ("9999", "a newer version")],
)
def test_an_unknown_schema_is_refused_and_not_migrated(
    packed: Path, version: str, message: str
) -> None:
    set_version(packed, version)
    before = packed.read_bytes()
    with pytest.raises(UsageError, match=message):
        open_database(packed, read_only=True)
    assert packed.read_bytes() == before


def test_what_is_no_database_of_this_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all, but longer than a header\n" * 40)
    with closing(sqlite3.connect(tmp_path / "songs.db")) as raw:
        raw.execute("CREATE TABLE songs (title TEXT)")
    for name, message in [
        ("nowhere.db", "no database at"),
        ("notes.txt", "cannot be opened as a results database"),
        ("songs.db", "another program"),
    ]:
        with pytest.raises(UsageError, match=message):
            open_database(tmp_path / name, read_only=True)
    assert not (tmp_path / "nowhere.db").exists()


@pytest.mark.parametrize("name", ["a?b.db", "p%41.db", "ü #1.db"])
def test_its_file_may_have_any_name(packed: Path, name: str) -> None:
    database = open_database(packed.rename(packed.parent / name), read_only=True)
    assert len(run_rows(database)) == 1
    database.close()


@pytest.fixture
def shipped() -> Database:
    database = open_reference()
    yield database
    database.close()


def test_the_reference_that_ships_has_the_newest_schema_and_results(shipped: Database) -> None:
    """When the schema is newer: python tools/reference.py pack runner/reference/results.db."""
    rows = run_rows(shipped)
    assert rows
    assert {row["status"] for row in rows} <= {"done", "diverged", "unfinished"}
    with shipped.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_it_lies_where_the_package_ships_it() -> None:
    import tomllib

    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["runner"]
    package = Path(runner.__file__).parent
    assert REFERENCE_FILE in [found for each in patterns for found in package.glob(each)]

"""A database that is opened read-only stays as it is, byte for byte, with nothing beside it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from read_only import locked
from recorded import do_run, want

import runner
from runner.core.errors import StoreBusy, UsageError
from runner.store import sources
from runner.store.checking import check_everything
from runner.store.database import HEAD, Database, open_database
from runner.store.queries import run_rows
from runner.store.reference import REFERENCE_FILE, open_reference

FIXTURE = Path(__file__).parent / "fixtures" / "schema_0001.db"


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
    with pytest.raises(UsageError, match=r"results\.db is read-only\n.* --db"):
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


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_without_being_told_what_cannot_be_written_is_read(packed: Path, journal: str) -> None:
    with closing(sqlite3.connect(packed)) as raw:
        raw.execute(f"PRAGMA journal_mode = {journal}")
    before = files_in(packed.parent)
    with locked(packed.parent):
        database = open_database(packed, create=False)
        assert [row["status"] for row in run_rows(database)] == ["done"]
        with pytest.raises(UsageError, match=r"results\.db is read-only\n.* --db"):
            want(database, ["r2"])
        database.close()
        with pytest.raises(UsageError, match="cannot be written: it or its folder is read-only"):
            open_database(packed)
        with pytest.raises(UsageError, match="no database at"):
            open_database(packed.parent / "other.db", create=False)
        with pytest.raises(UsageError, match=r"other\.db cannot be made: Read-only|Permission"):
            open_database(packed.parent / "other.db")
    assert files_in(packed.parent) == before


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("with_index", [True, False], ids=["wal and shm", "wal"])
def test_what_a_killed_process_left_in_the_log_is_seen(
    packed: Path, tmp_path: Path, with_index: bool
) -> None:
    work = Path(shutil.copytree(packed.parent, tmp_path / "work"))
    database = open_database(work / "results.db")
    want(database, ["r1", "r2"])
    do_run(database, "r2")
    for path in work.glob("results.db*"):  # as they are before the process has closed them
        if with_index or path.suffix != ".db-shm":
            shutil.copy(path, packed.parent)
    database.close()
    before = files_in(packed.parent)
    assert len(before["results.db-wal"]) > 0
    with locked(packed.parent):
        database = open_database(packed, create=False)
        assert [row["status"] for row in run_rows(database)] == ["done", "done"]
        database.close()
    assert files_in(packed.parent) == before
    database = open_database(packed, read_only=True)
    assert len(run_rows(database)) == 2
    database.close()


def test_what_a_process_at_work_has_just_written_is_seen(packed: Path) -> None:
    writer = open_database(packed)
    want(writer, ["r1", "r2"])
    database = open_database(packed, read_only=True)
    assert len(run_rows(database)) == 2
    do_run(writer, "r2")
    database.close(), writer.close()


@pytest.mark.parametrize("times", [1, sources.TRIES])
def test_what_is_written_while_it_is_copied_is_copied_anew(
    times: int, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process begins, writes and ends after it was seen that there is no log."""
    real, calls = sources._in_memory, []

    def written_meanwhile(source: str) -> sources.Source:
        calls.append(source)
        found = real(source)
        if len(calls) <= times:
            with open_database(packed) as writer:
                want(writer, ["r1", *(f"r{number + 2}" for number in range(len(calls)))])
        return found

    monkeypatch.setattr(sources, "_in_memory", written_meanwhile)
    if times == sources.TRIES:
        with pytest.raises(StoreBusy, match=r"results\.db is written each time that it is copied"):
            open_database(packed, read_only=True, is_written=True)
        return
    with open_database(packed, read_only=True, is_written=True) as database:
        assert len(run_rows(database)) == 2
    assert len(calls) == 2


def test_a_transaction_that_a_killed_process_left_half_written_is_undone(
    packed: Path, tmp_path: Path
) -> None:
    work = Path(shutil.copytree(packed.parent, tmp_path / "work")) / "results.db"
    with closing(sqlite3.connect(work, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
        raw.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the end
        raw.execute("BEGIN")
        raw.execute("UPDATE metrics SET value = value + 1")
        raw.execute("UPDATE steps SET losses = printf('%9000s', 'x')")
        for path in work.parent.glob("results.db*"):
            shutil.copy(path, packed.parent)
        raw.execute("ROLLBACK")
    assert (packed.parent / "results.db-journal").stat().st_size > 0
    with locked(packed.parent):
        database = open_database(packed, create=False)
        assert [row["test_accuracy"] for row in run_rows(database)] == [0.25]
        database.close()


@pytest.mark.slow
def test_an_older_schema_is_migrated_in_memory(tmp_path: Path) -> None:
    (tmp_path / "ships").mkdir()
    path = Path(shutil.copy(FIXTURE, tmp_path / "ships" / "results.db"))
    before = files_in(path.parent)
    with locked(path.parent):
        for how in ({"create": False}, {"read_only": True}):
            database = open_database(path, **how)
            assert {row["status"] for row in run_rows(database)} == {"done"}
            with database.read() as connection:
                assert all(
                    each.count and not each.problems for each in check_everything(connection)
                )
            with pytest.raises(UsageError, match="read-only"):
                want(database, ["r2"])
            database.close()
    assert files_in(path.parent) == before


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

"""A database that is watched: commits are noticed, and nothing is written."""

import shutil
from pathlib import Path

import pytest

from runner.core.errors import StoreGone, UsageError
from runner.store.catalogue import record_environment
from runner.store.database import open_database
from runner.store.reference import REFERENCE_FILE
from runner.store.watching import CommitCounter, open_to_watch


def test_commits_of_others_are_seen_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with open_database(path) as writing, open_to_watch(path) as watched:
        counter = CommitCounter(watched)
        assert counter.has_moved()
        assert not counter.has_moved()
        record_environment(writing, {"python": "3"})
        assert counter.has_moved()
        assert not counter.has_moved()
        with watched.read() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM environments").scalar_one()
        assert count == 1
        counter.close()


def test_what_is_watched_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    open_database(path).close()
    with open_to_watch(path) as watched:
        with pytest.raises(UsageError, match="read-only"):
            record_environment(watched, {"python": "3"})
        with watched.read() as connection, pytest.raises(Exception, match="readonly"):
            connection.exec_driver_sql("DELETE FROM experiments")


def test_writers_may_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    open_database(path).close()
    with open_to_watch(path) as watched:
        for number in range(3):
            with open_database(path) as writing:
                record_environment(writing, {"python": str(number)})
            with watched.read() as connection:
                query = "SELECT count(*) FROM environments"
                assert connection.exec_driver_sql(query).scalar_one() == number + 1


def test_a_file_that_is_replaced_is_said(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    open_database(path).close()
    with open_to_watch(path) as watched:
        shutil.copy(path, tmp_path / "other.db")
        (tmp_path / "other.db").replace(path)
        with pytest.raises(StoreGone, match="replaced"), watched.read():
            pass


def test_the_reference_is_read_where_it_is_and_never_written() -> None:
    before, beside = REFERENCE_FILE.read_bytes(), sorted(REFERENCE_FILE.parent.iterdir())
    with open_to_watch(REFERENCE_FILE) as watched:
        counter = CommitCounter(watched)
        assert counter.has_moved()
        assert not counter.has_moved()
        counter.close()
    assert REFERENCE_FILE.read_bytes() == before
    assert sorted(REFERENCE_FILE.parent.iterdir()) == beside


def test_a_database_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no database"):
        open_to_watch(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []

"""Which file ``--db`` means, and what is refused before anything is opened or made."""

import os
from pathlib import Path

import pytest

from runner.core.errors import UsageError
from runner.core.text import SECRET_OPTIONS
from runner.store.addresses import address_of, is_there, is_writable, secrets_of, short_name
from runner.store.database import open_database


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("results.db", "results.db"),
        ("sqlite:///results.db", "results.db"),
        ("sqlite:////home/me/r.db", "/home/me/r.db"),
        ("a?b%41.db", "a?b%41.db"),
    ],
)
def test_a_path_and_a_url_mean_a_file(where: str, path: str) -> None:
    assert address_of(where) == Path(path)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("sqlite://", "in memory: all results would be lost"),
        ("sqlite:///", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:results.db?mode=memory&uri=true", "without options"),
        ("sqlite:///results.db?timeout=5", "without options"),
        ("sqlite://host/results.db", "without options"),
        ("postgresql+psycopg2://localhost/x", "by psycopg 3"),
        ("nonsense://x", "SQLite files or by PostgreSQL only"),
        ("mysql://a:b", "cannot be read as a URL"),
        ("://", "cannot be read as a URL"),
        ("a\0b", "no name of a file"),
    ],
)
def test_what_is_no_sqlite_file_is_refused_with_what_is_allowed(where: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        open_database(where)
    assert "allowed: a file, as results.db, or sqlite:///results.db" in str(refused.value)


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("postgresql://me@host/runs", "postgresql://me@host/runs"),
        ("postgresql://me:se%40cret@host:5433/runs", "postgresql://me@host:5433/runs"),
        ("postgresql+psycopg://host/runs", "postgresql://host/runs"),
        ("postgresql:///runs?password=se%40cret&host=/run", "postgresql:///runs?host=/run"),
    ],
)
def test_a_server_is_named_without_its_password(where: str, shown: str) -> None:
    address = address_of(where)
    assert str(address) == shown
    assert "se" + "cret" not in f"{address!r} {address}"
    assert short_name(address) == "runs"
    assert not isinstance(address, Path)
    assert ("%40cret" in address.url) == ("cret" in where)


@pytest.mark.parametrize("option", SECRET_OPTIONS)
def test_what_lets_somebody_in_is_neither_shown_nor_repeated(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    psycopg = pytest.importorskip("psycopg")
    where = f"postgresql://me@host/runs?{option}=hush-hush&sslmode=require"
    address = address_of(where)
    assert not isinstance(address, Path)
    assert str(address) == "postgresql://me@host/runs?sslmode=require"
    assert secrets_of(address) == ["hush-hush"]
    assert "hush-hush" in address.url

    def fails(*_: object, **given: str) -> None:
        raise psycopg.OperationalError(f"{given[option]} is wrong")

    monkeypatch.setattr(psycopg, "connect", fails)
    with pytest.raises(UsageError, match="cannot be opened: … is wrong") as refused:
        open_database(where)
    assert "hush" not in str(refused.value)


def test_every_option_that_libpq_hides_is_not_shown() -> None:
    psycopg = pytest.importorskip("psycopg")
    options = psycopg.pq.Conninfo.get_defaults()
    hidden = {each.keyword.decode() for each in options if each.dispchar == b"*"}
    assert hidden <= set(SECRET_OPTIONS)


@pytest.mark.parametrize("where", ["mysql://me:secret@host/x", "postgresql://me:secret@host:x/y"])
def test_a_url_that_is_refused_is_shown_without_its_password(where: str) -> None:
    with pytest.raises(UsageError) as refused:
        address_of(where)
    assert "secret" not in str(refused.value)


def test_a_server_without_the_name_of_a_database_is_refused() -> None:
    with pytest.raises(UsageError, match="postgresql://host names no database"):
        address_of("postgresql://host")


def test_folders_pipes_and_names_that_are_too_long_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for name, message in [
        (".", "it is a folder"),
        ("pipe", "no regular file"),
        ("x" * 300, "File name too long"),
    ]:
        with pytest.raises(UsageError, match=message):
            is_there(tmp_path / name)
    assert not is_there(tmp_path / "file" / "in-it")


def test_an_empty_file_holds_nothing_to_read_and_may_become_a_database(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    path.touch()
    for read_only in (False, True):
        with pytest.raises(UsageError, match="is empty: no database of results"):
            open_database(path, create=False, read_only=read_only)
    assert path.stat().st_size == 0
    open_database(path).close()
    open_database(path, create=False).close()


def test_a_place_where_no_folder_can_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        open_database(tmp_path / "file" / "results.db")


def test_a_url_is_read_where_its_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no database at there\.db"):
        open_database("sqlite:///there.db", create=False)
    assert list(tmp_path.iterdir()) == []
    open_database("there.db").close()
    database = open_database("sqlite:///there.db", create=False)
    assert database.address == Path("there.db")
    database.close()
    assert is_writable(Path("there.db"))


def test_a_database_closes_itself_when_it_is_left(tmp_path: Path) -> None:
    with open_database(tmp_path / "results.db") as database:
        opened = database.engine.pool
        assert database.identity()
    assert database.engine.pool is not opened  # disposed: all its connections are closed
    with pytest.raises(ZeroDivisionError), database:
        _ = 1 / 0

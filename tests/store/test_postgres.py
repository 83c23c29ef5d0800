"""Databases of a PostgreSQL server: opening them, and what is said where that cannot be done."""

import importlib.util
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postgres import PostgresServer
from recorded import do_run, take, want
from waiting import wait_for

from runner.core.errors import DamagedDatabase, UsageError
from runner.store.addresses import ServerDatabase, address_of
from runner.store.claims import renew_claim
from runner.store.database import HEAD, has_results, open_database
from runner.store.queries import run_rows
from runner.store.schema import metadata
from runner.store.server_failures import is_starting
from runner.store.watching import CommitCounter, open_to_watch

psycopg = pytest.importorskip("psycopg", reason="needs the extra [postgres]")
pytestmark = pytest.mark.postgres


def run_sql(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def is_let_in(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_database()


def test_migrated_tables_are_the_declared_ones(url: str) -> None:
    with open_database(url) as database, database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        different = compare_metadata(context, metadata)
    assert [each for each in different if "comment" not in str(each[0])] == []


def test_text_is_ordered_by_its_bytes_and_integers_are_long(url: str) -> None:
    with open_database(url) as database:
        with database.write() as connection:
            for key in ("a", "B", "_"):
                connection.exec_driver_sql(
                    "INSERT INTO stages VALUES (%s, 'train', '{}', '[]', '')", (key,)
                )
                connection.exec_driver_sql(
                    "INSERT INTO artifacts VALUES (%s, %s, '', 5000000000)", (key, key)
                )
        with database.read() as connection:
            query = "SELECT name, num_bytes FROM artifacts ORDER BY name"
            found = connection.exec_driver_sql(query).all()
    assert found == [("B", 5_000_000_000), ("_", 5_000_000_000), ("a", 5_000_000_000)]


def test_it_is_made_once_and_opened_again(url: str) -> None:
    address = address_of(url)
    assert isinstance(address, ServerDatabase)
    assert not has_results(address)
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(UsageError, match=r"there are no results in postgresql.*\n.*first"):
            open_database(url, **options)
    with open_database(url) as database:
        identity = database.identity()
        want(database, ["r1"])
        assert database.num_bytes() > 1_000_000
    assert has_results(address)
    with open_database(url, read_only=True) as database:
        assert database.identity() == identity
        assert [row["status"] for row in run_rows(database)] == ["unfinished"]
        with pytest.raises(UsageError, match="is read-only"):
            want(database, ["r2"])


def test_a_reader_sees_one_state_while_another_process_writes(url: str) -> None:
    with open_database(url) as writer, open_database(url) as reader:
        want(writer, ["r1"])
        with reader.read() as connection:
            count = sa.text("SELECT count(*) FROM runs")
            assert connection.execute(count).scalar() == 1
            want(writer, ["r1", "r2"])
            assert connection.execute(count).scalar() == 1
        with reader.read() as connection:
            assert connection.execute(count).scalar() == 2


def test_commits_of_others_are_seen_and_counted(url: str) -> None:
    with open_database(url) as writer:
        want(writer, ["r1"])
        with open_to_watch(url) as watched:
            counter = CommitCounter(watched)
            assert counter.has_moved()
            assert not counter.has_moved()
            do_run(writer, "r1")
            assert counter.has_moved()
            assert [row["status"] for row in run_rows(watched)] == ["done"]
            with pytest.raises(UsageError, match="is read-only"):
                want(watched, ["r2"])
            counter.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"database": "nothing"}, r'database "nothing" does not exist\n.*createdb'),
        ({"username": "nobody"}, r'role "nobody" does not exist'),
        ({"query": {"host": "/nowhere"}}, r"cannot be opened: connection.*\n.*server running"),
        ({"query": {}, "host": "127.0.0.1", "port": 9}, "Connection refused"),
        ({"query": {}, "host": "no.such.host.invalid"}, "resolve host.*\n.*the host's name"),
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(
    url: str, change: dict[str, Any], message: str
) -> None:
    wrong = sa.make_url(url).set(password="hush-hush", **change)
    with pytest.raises(UsageError, match=message) as refused:
        open_database(wrong.render_as_string(hide_password=False))
    assert "hush" not in str(refused.value)
    assert str(refused.value).startswith("postgresql://")


def test_a_wrong_password_is_not_repeated(postgres_server: PostgresServer, url: str) -> None:
    hba = postgres_server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    run_sql(url, "CREATE ROLE asked LOGIN PASSWORD 'right'")
    try:
        hba.write_text("local all asked scram-sha-256\n" + before)
        run_sql(url, "SELECT pg_reload_conf()")
        wrong = sa.make_url(url).set(username="asked", password="hush-hush")
        text = wrong.render_as_string(hide_password=False)
        wait_for(lambda: not is_let_in(url.replace("runner@", "asked@")))
        with pytest.raises(UsageError, match=r"password authentication failed.*\n.*pgpass") as no:
            open_database(text, create=False)
    finally:
        hba.write_text(before)
        run_sql(url, "SELECT pg_reload_conf()")
        run_sql(url, "DROP ROLE asked")
    assert "hush" not in str(no.value)


def test_without_psycopg_the_extra_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "psycopg" else real(name)
    )
    with pytest.raises(UsageError, match=r'not installed\n.*pip install "runner\[postgres\]"'):
        open_database(url)


def test_tables_of_another_program_are_left_alone(url: str) -> None:
    run_sql(url, "CREATE TABLE songs (title TEXT)")
    with pytest.raises(UsageError, match=r"database of another program\n.*createdb"):
        open_database(url)
    with pytest.raises(psycopg.errors.UndefinedTable):
        run_sql(url, "SELECT * FROM runs")


def test_a_schema_of_its_own_stands_beside_others(url: str) -> None:
    run_sql(url, "CREATE TABLE songs (title TEXT)")
    run_sql(url, "CREATE SCHEMA mine")
    own = f"{url}&options=-csearch_path%3Dmine"
    with open_database(own) as database:
        want(database, ["r1"])
    run_sql(url, "SELECT * FROM mine.runs")


def test_a_user_who_may_not_make_tables_is_told_so(url: str) -> None:
    run_sql(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    run_sql(url, "CREATE ROLE guest LOGIN")
    try:
        guest = sa.make_url(url).set(username="guest").render_as_string()
        with pytest.raises(UsageError, match=r"cannot be written: permission denied.*\n.*GRANT"):
            open_database(guest)
    finally:
        run_sql(url, "DROP ROLE guest")


def test_another_encoding_is_refused(postgres_server: PostgresServer) -> None:
    run_sql(
        postgres_server.url("postgres"),
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER 'libc' LOCALE 'C'"
        " TEMPLATE template0",
    )
    with pytest.raises(UsageError, match=r"encoding LATIN1.*\n.*UTF8\n.*createdb --encoding"):
        open_database(postgres_server.url("latin"))


def test_a_newer_schema_is_refused(url: str) -> None:
    open_database(url).close()
    run_sql(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UsageError, match=f"has schema 9999, this program knows 0001 to {HEAD}"):
        open_database(url)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE results ADD COLUMN mine TEXT",
        "DROP INDEX cells_by_run",
        "CREATE OR REPLACE VIEW run_steps AS SELECT run_key, rerun, first_epoch AS epoch,"
        " 0.0::float8 AS learning_rate, 0.0::float8 AS seconds, '[]'::json AS losses"
        " FROM run_epochs",
        "ALTER TABLE cells DROP CONSTRAINT cells_run_key_fkey",
    ],
)
def test_another_schema_than_was_made_is_damage(url: str, statement: str) -> None:
    open_database(url).close()
    run_sql(url, statement)
    with pytest.raises(DamagedDatabase, match="tables and views are not those"):
        open_database(url)


def test_what_stands_beside_its_tables_is_no_damage(url: str) -> None:
    open_database(url).close()
    run_sql(url, "CREATE TABLE my_own (x INT)")
    run_sql(url, "CREATE VIEW my_view AS SELECT * FROM run_metrics")
    open_database(url).close()


def test_an_older_schema_is_brought_up_to_date(url: str) -> None:
    with open_database(url) as database:
        want(database, ["r1", "r2"])
        do_run(database, "r1")
        rows = run_rows(database)
    run_sql(url, "DROP TABLE commits")
    run_sql(url, "UPDATE alembic_version SET version_num = '0008'")
    with pytest.raises(UsageError, match=f"has schema 0008, not yet {HEAD}"):
        open_database(url, read_only=True)
    with open_database(url) as database:
        assert run_rows(database) == rows
        do_run(database, "r2")
    run_sql(url, "SELECT writer, number, written FROM commits")


def test_leases_are_renewed_while_another_writes_alone(url: str) -> None:
    with open_database(url) as database, open_database(url) as other:
        want(database, ["r1"])
        claim = take(database, "train-r1-0")
        with other.write() as connection:
            connection.exec_driver_sql("SELECT 1")
            renew_claim(database, claim)  # it would wait for the lock that the other holds


def test_a_default_of_the_server_does_not_change_what_writers_see(url: str) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    run_sql(url, f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'")
    with open_database(url) as database, database.write() as connection:
        level = connection.exec_driver_sql("SHOW transaction_isolation").scalar_one()
    assert level == "read committed"


@pytest.mark.parametrize(
    ("said", "waited_for"),
    [
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  the database system is starting up", True),
        ('FATAL:  database "none" does not exist', False),
    ],
)
def test_a_server_that_is_full_or_starting_is_waited_for(said: str, waited_for: bool) -> None:
    assert is_starting(psycopg.OperationalError(said)) == waited_for

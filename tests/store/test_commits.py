"""What became of a transaction whose end nobody heard of: each is done once, or not at all."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import PostgresServer, running_server

from runner.core.errors import StoreUnreachable
from runner.store import commits as commits_module
from runner.store import postgres as postgres_module
from runner.store.backend import Beside
from runner.store.catalogue import record_environment
from runner.store.database import Database, open_database
from runner.store.schema import commits, environments

psycopg = pytest.importorskip("psycopg", reason="needs the extra [postgres]")
pytestmark = pytest.mark.postgres

Commit = Callable[[sa.RootTransaction], None]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that loses what it committed last when it crashes."""
    with running_server(wal_writer_delay="10s", wal_writer_flush_after="64MB") as server:
        yield server


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    with open_database(server.new_database()) as database:
        yield database


def contents(database: Database) -> list[Any]:
    with database.read() as connection:
        query = sa.select(environments.c.content).order_by(environments.c.id)
        return list(connection.execute(query).scalars())


def instead(monkeypatch: pytest.MonkeyPatch, *commits_of_turn: Callable[[Commit], Commit]) -> None:
    """Let the next commits go as given, the others as ever."""
    real = sa.engine.base.RootTransaction.commit
    turns = list(commits_of_turn)

    def commit(transaction: sa.RootTransaction) -> None:
        (turns.pop(0)(real) if turns else real)(transaction)

    monkeypatch.setattr(sa.engine.base.RootTransaction, "commit", commit)


def broken(transaction: sa.RootTransaction) -> None:
    transaction.connection.connection.driver_connection.close()
    gone = psycopg.OperationalError("the connection is gone")
    raise sa.exc.OperationalError("COMMIT", None, gone)


def not_heard_of(real: Commit) -> Commit:
    def commit(transaction: sa.RootTransaction) -> None:
        real(transaction)
        broken(transaction)

    return commit


def never_sent(_: Commit) -> Commit:
    return broken


def test_what_never_came_to_the_server_is_done_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, never_sent)
    record_environment(database, {"a": 1})
    assert contents(database) == [{"a": 1}]


def insert(name: str) -> Callable[[sa.Connection], None]:
    """Return what would store a second row if it were done again."""

    def insert_row(connection: sa.Connection) -> None:
        count = connection.execute(sa.select(sa.func.count()).select_from(environments)).scalar()
        values = {"key": f"{name}{count}", "content": {name: count}}
        connection.execute(sa.insert(environments).values(**values))

    return insert_row


@pytest.mark.parametrize("asking", [never_sent, not_heard_of])
def test_it_is_asked_again_where_the_connection_breaks_a_second_time(
    asking: Callable[[Commit], Commit], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, not_heard_of, asking)
    database.transact(insert("a"), Beside.OTHERS)
    assert contents(database) == [{"a": 0}]


def test_what_a_crash_of_the_server_took_is_done_again(
    server: PostgresServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where other transactions have its number meanwhile: see what `pg_xact_status` says."""
    database.transact(insert("before"))
    with database.write() as connection:
        connection.exec_driver_sql("CHECKPOINT")
    lost: list[str] = []

    def crash(real: Commit) -> Commit:
        def commit(transaction: sa.RootTransaction) -> None:
            raw = transaction.connection.connection.driver_connection
            (xid,) = raw.execute("SELECT pg_current_xact_id()::text").fetchone()
            real(transaction)
            server.stop(crash=True)
            server.start()
            with psycopg.connect(raw.info.dsn, autocommit=True) as other:
                for _ in range(50):
                    other.execute("SELECT pg_current_xact_id()")
                query = "SELECT pg_xact_status(%s::text::xid8)"
                lost.extend(other.execute(query, [xid]).fetchone())
            broken(transaction)

        return commit

    instead(monkeypatch, crash)
    database.transact(insert("a"), Beside.OTHERS)
    assert contents(database) == [{"before": 0}, {"a": 1}]
    assert lost == ["committed"]


def test_it_is_an_error_where_the_server_stays_away(
    server: PostgresServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(real: Commit) -> Commit:
        def commit(transaction: sa.RootTransaction) -> None:
            real(transaction)
            server.stop()
            broken(transaction)

        return commit

    monkeypatch.setattr(postgres_module, "PATIENCE_SECONDS", 0.2)
    instead(monkeypatch, stop)
    with pytest.raises(StoreUnreachable):
        database.transact(insert("a"), Beside.OTHERS)
    server.start()


def test_a_writer_has_one_row_and_rows_of_a_day_ago_go(server: PostgresServer) -> None:
    url = server.new_database()
    with open_database(url) as database:
        for number in range(3):
            record_environment(database, {"number": number})
        with database.write() as connection:
            rows = connection.execute(sa.select(commits)).all()
            assert [row.number for row in rows] == [3]
            old = commits.c.written - commits_module.DAY
            connection.execute(sa.update(commits).values(written=old))
    with open_database(url) as database:
        record_environment(database, {"number": 3})
        with database.read() as connection:
            assert connection.execute(sa.select(commits.c.number)).scalars().all() == [1]

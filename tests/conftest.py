"""What holds for all tests: one thread each, since two test processes share two cores."""

import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from examples import examples
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("runner", max_examples=examples(100))
settings.load_profile("runner")


@pytest.fixture(scope="session", autouse=True)
def _schema_made_once() -> Iterator[None]:
    """Replay in new databases what a migration did in the first: alembic takes 25 ms for each."""
    from runner.store import migrations

    real = migrations.upgrade
    done: list[tuple[str, Any]] = []

    def remember(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        done.append((statement, values))

    def upgrade(connection: sa.Connection) -> None:
        if sa.inspect(connection).has_table("alembic_version"):
            real(connection)
        elif done:
            for statement, values in done:
                if not statement.startswith(("PRAGMA", "SELECT")):
                    connection.exec_driver_sql(statement, values)
        else:
            sa.event.listen(connection, "before_cursor_execute", remember)
            real(connection)
            sa.event.remove(connection, "before_cursor_execute", remember)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "upgrade", upgrade)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Leave out what only a power failure would show: that commits are on the disk."""
    from runner.store import database

    real = database._prepare_sqlite

    def prepare(engine: sa.Engine) -> None:
        real(engine)

        @sa.event.listens_for(engine, "connect")
        def connect(raw: sqlite3.Connection, _: Any) -> None:
            raw.execute("PRAGMA synchronous = OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_prepare_sqlite", prepare)
        yield

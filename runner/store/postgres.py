"""Databases of a PostgreSQL server: connections, transactions, and when the server restarts.

A writing transaction is done exactly once: where the connection breaks in its middle it is done
again, and where it breaks while it is committed, a row that it leaves tells whether it was. Reading
sees one state (REPEATABLE READ). Writing is READ COMMITTED, alone or beside others: an advisory
lock lets those that are alone exclude all others.
"""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import sqlalchemy as sa

from runner.core.errors import UsageError
from runner.store.addresses import ServerDatabase, secrets_of
from runner.store.backend import Backend, Beside, CommitReader, Result
from runner.store.commits import LEAVE, Commit, Writer, forget_old, was_committed
from runner.store.failures import in_words
from runner.store.server_failures import again, cannot_connect, is_locked, is_starting
from runner.store.sqlite import to_json

BUSY_SECONDS = 60
"""How long a transaction waits for a lock, and may leave others waiting while it does nothing."""

PATIENCE_SECONDS = 120.0
"""How long a server that was there may be away."""

CONFLICTS = 50
"""How often a transaction is done again because others wrote at the same time."""

FIRST_VERSION = 130000
LOCK = 0x72756E6E6572  # "runner"
LOCK_OF_CLAIMING = LOCK + 1
CONNECTION = {
    "application_name": "runner",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
BEGIN = f"SELECT set_config('idle_in_transaction_session_timeout', '{BUSY_SECONDS}s', true)"
LOCKS = {
    Beside.NOBODY: f", pg_advisory_xact_lock({LOCK})",
    Beside.OTHERS: f", pg_advisory_xact_lock_shared({LOCK})",
    Beside.ALL: "",
}


class _Unsure(Exception):
    """The connection broke while a transaction was committed."""

    def __init__(self, commit: Commit | None, result: object, error: Exception) -> None:
        super().__init__(commit)
        self.commit, self.result, self.error = commit, result, error


class Patience:
    """Waits between tries, longer each time, for :data:`PATIENCE_SECONDS` from the first wait."""

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._pause = 0.05

    def wait(self) -> bool:
        """Wait a while; return False where that has been done for long enough."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + PATIENCE_SECONDS
        if now > self._deadline:
            return False
        time.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(self._pause * 2, 5.0)
        return True


class ServerBackend(Backend):
    """A database of a PostgreSQL server."""

    address: ServerDatabase

    def __init__(self, engine: sa.Engine, address: ServerDatabase, read_only: bool = False) -> None:
        super().__init__(engine, address, read_only)
        self._writer = Writer()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that sees one state of the database.

        Raises:
            StoreUnreachable: when the server does not answer any more.
        """
        with in_words(self.address):
            connection = self._connected()
            with connection:
                yield connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )

    def _connected(self) -> sa.Connection:
        patience = Patience()
        while True:
            try:
                return self.engine.connect()
            except sa.exc.DBAPIError as error:
                if again(error) != "lost" or not patience.wait():
                    raise

    @contextmanager
    def _write(self, beside: Beside) -> Iterator[sa.Connection]:
        with in_words(self.address), self._connected() as connection, connection.begin():
            _begin(connection, beside)
            yield connection

    def transact(
        self,
        body: Callable[[sa.Connection], Result],
        beside: Beside = Beside.NOBODY,
        is_idempotent: bool = False,
    ) -> Result:
        """Return what a function returns that writes; exactly once, or not at all.

        Raises:
            StoreUnreachable: when the server does not answer for :data:`PATIENCE_SECONDS`.
            StoreBusy: when others hold a lock for too long.
        """
        self.check_writable()
        patience, conflicts = Patience(), 0
        with in_words(self.address):
            while True:
                try:
                    return self._once(body, beside, None if is_idempotent else self._writer.next())
                except _Unsure as unsure:
                    if unsure.commit is not None and self._is_committed(unsure.commit):
                        return cast("Result", unsure.result)
                    if not patience.wait():
                        raise unsure.error from None
                except Exception as error:
                    why = again(error)
                    conflicts += why == "conflict"
                    if why is None or conflicts > CONFLICTS:
                        raise
                    if why == "lost":
                        self._writer.begin_anew()
                        if not patience.wait():
                            raise
                    if why == "conflict":
                        time.sleep(random.uniform(0, 0.002 * min(conflicts, 10)))

    def _once(
        self, body: Callable[[sa.Connection], Result], beside: Beside, commit: Commit | None
    ) -> Result:
        with self.engine.connect() as connection:
            transaction = connection.begin()
            _begin(connection, beside, commit)
            result = body(connection)
            try:
                transaction.commit()
            except sa.exc.DBAPIError as error:
                if again(error) != "lost":
                    raise
                raise _Unsure(commit, result, error) from error
        return result

    def _is_committed(self, commit: Commit) -> bool:
        """Return whether a transaction whose end nobody heard of was committed."""
        patience = Patience()
        while True:
            try:
                with self.engine.begin() as connection:
                    return was_committed(connection, commit)
            except Exception as error:
                may_ask_again = again(error) is not None or is_locked(error)
                if not may_ask_again or not patience.wait():
                    raise

    def num_bytes(self) -> int:
        """Return what the whole database takes on the server."""
        with self.read() as connection:
            query = "SELECT pg_database_size(current_database())"
            return int(connection.exec_driver_sql(query).scalar_one())

    def commit_reader(self) -> CommitReader:
        """Return a reader of the server's counter of transactions."""
        return _ServerCommits(self)


class _ServerCommits(CommitReader):
    """Transactions of other databases of the server count, too: then nothing new is found."""

    def __init__(self, backend: ServerBackend) -> None:
        self._backend = backend

    def now(self) -> str:
        with self._backend.read() as connection:
            query = "SELECT pg_current_snapshot()::text"
            return str(connection.exec_driver_sql(query).scalar_one())

    def close(self) -> None:
        pass


def _begin(connection: sa.Connection, beside: Beside, commit: Commit | None = None) -> None:
    """Take the locks of a transaction, and leave its number, in one request."""
    statement = BEGIN + LOCKS[beside]
    if commit is None:
        connection.exec_driver_sql(statement)
        return
    connection.exec_driver_sql(f"WITH left_behind AS ({LEAVE}) {statement}", commit.values)
    if commit.number == 1:
        forget_old(connection)


def connect(address: ServerDatabase, read_only: bool = False) -> ServerBackend:
    """Return a database of a server that answers.

    Raises:
        UsageError: when it does not, has no such database or user, or is too old; or when psycopg
            is not installed.
    """
    _need_psycopg()
    url = sa.make_url(address.url)
    asked = url.query.get("options", "")
    options = (
        f"{asked if isinstance(asked, str) else ' '.join(asked)} -c lock_timeout={BUSY_SECONDS}s"
    )
    engine = sa.create_engine(
        url,
        isolation_level="READ COMMITTED",  # of what writes, whatever a role has as its default
        json_serializer=to_json,
        pool_pre_ping=True,
        connect_args={**CONNECTION, "options": options.strip()},
    )
    backend = ServerBackend(engine, address, read_only)
    patience = Patience()
    while True:
        try:
            with engine.connect() as connection:
                _check_server(connection, address)
            return backend
        except BaseException as error:
            if isinstance(error, sa.exc.DBAPIError):
                if is_starting(error) and patience.wait():
                    continue
                engine.dispose()
                cause = error.orig or error
                raise cannot_connect(address, cause, secrets_of(address)) from None
            engine.dispose()
            raise


def _need_psycopg() -> None:
    hint = 'pip install "runner[postgres]"'
    if importlib.util.find_spec("psycopg") is None:
        found = "PostgreSQL is spoken to by psycopg, which is not installed"
        raise UsageError(found, hint=hint)
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        found = f"psycopg cannot be used: {str(error).splitlines()[0]}"
        raise UsageError(found, hint=hint) from error


def _check_server(connection: sa.Connection, address: ServerDatabase) -> None:
    query = (
        "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
        " current_setting('server_encoding')"
    )
    number, version, encoding = connection.exec_driver_sql(query).one()
    if number < FIRST_VERSION:
        raise UsageError(f"{address} is of PostgreSQL {version}", allowed="PostgreSQL 13 or newer")
    if encoding != "UTF8":
        hint = "createdb --encoding=UTF8 --template=template0 NAME"
        found = f"{address} has the encoding {encoding}, which does not hold every name"
        raise UsageError(found, allowed="UTF8", hint=hint)


def server_seconds(connection: sa.Connection) -> tuple[float, float]:
    """Return the server's time and when it started, in seconds since 1970.

    It starts anew also where it recovers because one of its processes has crashed: that begins its
    statistics anew, too, and nothing else tells everybody.
    """
    query = (
        "SELECT extract(epoch FROM clock_timestamp())::float8, extract(epoch FROM"
        " greatest(pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter)))::float8"
    )
    now, started = cast("tuple[Any, Any]", connection.exec_driver_sql(query).one())
    return float(now), float(started)

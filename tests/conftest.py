"""What holds for all tests: one thread each, since two test processes share two cores.

And no GPU, but for tests with the marker `gpu`: what is printed and planned names the CPU.
"""

import functools
import gc
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer.main
from examples import examples
from hypothesis import HealthCheck, settings
from postgres import PostgresServer, running_server
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from runner.store import leases
from runner.store.postgres import server_seconds

DAY = 24 * 3600.0
EXECUTE = "tests/execute/"
REAL_DATA = os.environ.get("RUNNER_DATA")

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A busy machine is slow at anything: no example has a limit of time, nor has making one.
settings.register_profile(
    "runner",
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("runner")


def pytest_configure(config: pytest.Config) -> None:
    """Hide the GPUs of this machine unless tests that need one are asked for, as by `-m gpu`."""
    if not _asks_for_gpus(config):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _asks_for_gpus(config: pytest.Config) -> bool:
    return re.search(r"(?<!not )\bgpu\b", config.option.markexpr) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out tests that need a GPU where it is hidden, as by `-m ""`, which is all tests.

    The folder of real data is seen by tests with the marker `data` alone.
    """
    os.environ.pop("RUNNER_DATA", None)
    if REAL_DATA is not None and item.get_closest_marker("data"):
        os.environ["RUNNER_DATA"] = REAL_DATA
    if item.get_closest_marker("gpu") and not _asks_for_gpus(item.config):
        pytest.skip("needs a CUDA device: -m gpu")


@pytest.fixture(scope="session", autouse=True)
def _schema_made_once() -> Iterator[None]:
    """Replay in new databases what a migration did in the first: alembic takes 25 ms for each."""
    from runner.store import migrations

    real = migrations.upgrade
    done_by_dialect: dict[str, list[tuple[str, Any]]] = {}

    def remember(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        done_by_dialect.setdefault(connection.dialect.name, []).append((statement, values))

    def upgrade(connection: sa.Connection) -> None:
        done = done_by_dialect.get(connection.dialect.name)
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
def _commands_built_once() -> Iterator[None]:
    """Keep the tree of commands, which typer builds anew for each command line in 15 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Leave out what only a power failure would show: that commits are on the disk."""
    from runner.store import files

    real = files.prepare_sqlite

    def prepare(engine: sa.Engine) -> None:
        real(engine)

        @sa.event.listens_for(engine, "connect")
        def connect(raw: sqlite3.Connection, _: Any) -> None:
            raw.execute("PRAGMA synchronous = OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "prepare_sqlite", prepare)
        yield


def started_yesterday(connection: sa.Connection) -> tuple[float, float]:
    now, _ = server_seconds(connection)
    return now, now - DAY


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, for tests with the marker `postgres`."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Return where a new database of some name may be made: a file, or a server's database."""
    if request.param == "sqlite":
        return lambda name: str(tmp_path / f"{name}.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    # the tests' server has just started, when leases that nobody could renew still count
    monkeypatch.setattr(leases, "server_seconds", started_yesterday)
    return lambda name: server.new_database()


@pytest.fixture
def where(place: Callable[[str], str]) -> str:
    """Return where a new database may be made, of each kind of databases in turn."""
    return place("results")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Give files to processes in the order in which they were collected: the longest first.

    Of the fast tests, all of tests/execute go to one process, as one file: what they share takes
    longer to make than they take.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    are_together = config.option.markexpr.startswith("not slow")

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return EXECUTE if are_together and file.startswith(EXECUTE) else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    """Mark slow cases; of several processes' tests, put the longest files first."""
    _mark_slow_cases(config, items)
    yield
    if hasattr(config, "workerinput"):
        seconds: Counter[str] = Counter()
        for item in items:
            seconds[_file(item)] += _expected_seconds(item)
        items.sort(key=lambda item: -seconds[_file(item)])


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _expected_seconds(item: pytest.Item) -> float:
    """Return about how long a test takes: what its marker `slow` says, or what others take."""
    slow = item.get_closest_marker("slow")
    if slow is not None:
        return float(slow.args[0]) if slow.args else 1.5
    others = {"browser": 4.0, "postgres": 2.0}
    return max((others[name] for name in others if item.get_closest_marker(name)), default=0.02)


def _mark_slow_cases(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to the slow tests what a test with the marker `fast_cases` has beyond its number.

    The cases that stay are spread evenly over all: those beside each other are often alike. Who
    names files or folders gets all cases: a new one is tested by the commands of extending.md.
    """
    if config.args != config.getini("testpaths"):
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("fast_cases"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for found in cases.values():
        marker = found[0].get_closest_marker("fast_cases")
        assert marker
        stay = {each * len(found) // marker.args[0] for each in range(marker.args[0])}
        for at, item in enumerate(found):
            if at not in stay:
                item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from looking at a million objects that live to the end."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish() -> None:
    """Let everything go again, so that libraries find nothing left of them at the end."""
    gc.unfreeze()

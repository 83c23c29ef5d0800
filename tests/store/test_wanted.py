"""What is wanted, and what was wanted last: whatever clocks say, and where connections break."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import PostgresServer
from recorded import want

from runner.core.errors import StoreUnreachable
from runner.store import leases
from runner.store.database import Database, open_database
from runner.store.queries import stored_experiments
from runner.store.wanted import wanted_runs, wanted_version


@pytest.mark.parametrize("asked", [wanted_runs, wanted_version])
def test_a_connection_that_breaks_is_no_end(
    asked: Callable[[Database], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Database.read
    broken: list[StoreUnreachable] = []

    @contextmanager
    def breaks_once(database: Database) -> Iterator[sa.Connection]:
        if not broken:
            broken.append(StoreUnreachable("a server", "it is gone"))
            raise broken[0]
        with read(database) as connection:
            yield connection

    with open_database(tmp_path / "results.db") as database:
        whole = asked(database)
        monkeypatch.setattr("runner.store.wanted.open_reruns", lambda database: {})
        monkeypatch.setattr(Database, "read", breaks_once)
        assert asked(database) == whole
    assert broken


DAY = 86_400.0
REAL_TIME = time.time


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clocks of machine and server so many seconds from the present."""

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: REAL_TIME() + seconds)
        monkeypatch.setattr(leases, "server_seconds", lambda _: (time.time(), 0.0))

    return set_clock


def test_what_is_asked_for_last_is_the_newest_when_a_clock_is_set_back(
    where: str, step: Callable[[float], None]
) -> None:
    with open_database(where) as database:
        versions = [wanted_version(database)]
        for name, seconds in [("a", 0.0), ("b", -3600.0), ("a", -7200.0), ("c", -1.0)]:
            step(seconds)
            want(database, ["r1"], name=name)
            assert stored_experiments(database)[0].name == name
            versions.append(wanted_version(database))
        assert len(set(versions)) == len(versions)
        found = [each.recorded for each in stored_experiments(database)]
        assert max(found) < REAL_TIME() + 1


def test_a_clock_that_was_years_ahead_is_not_followed_and_nothing_is_missed(
    where: str, step: Callable[[float], None]
) -> None:
    with open_database(where) as database:
        step(1000 * DAY)
        want(database, ["r1"], name="ahead")
        step(0.0)
        versions = [wanted_version(database)]
        for _ in range(2):
            want(database, ["r1"], name="now")
            versions.append(wanted_version(database))
            time.sleep(0.001)
        assert len(set(versions)) == len(versions)
        recorded = {each.name: each.recorded for each in stored_experiments(database)}
        assert abs(recorded["now"] - time.time()) < DAY
        assert recorded["ahead"] > time.time() + 999 * DAY


@pytest.mark.postgres
def test_between_machines_the_clock_of_the_server_says_what_was_asked_for_last(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_database(postgres_server.new_database()) as database:
        want(database, ["r1"], name="of a machine whose clock is right")
        monkeypatch.setattr(time, "time", lambda: REAL_TIME() - 1000 * DAY)
        want(database, ["r1"], name="of another")
        newest, oldest = stored_experiments(database)
    assert newest.name == "of another"
    assert oldest.recorded < newest.recorded < oldest.recorded + DAY

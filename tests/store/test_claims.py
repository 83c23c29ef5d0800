"""Claims when somebody sets the clock: the living keep theirs, the dead are still known."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest
import sqlalchemy as sa
from recorded import take, want

from runner.artifacts.process import start_ticks
from runner.store import claims as claims_module
from runner.store import leases
from runner.store.attempts_seen import newest_attempt_id
from runner.store.catalogue import record_environment
from runner.store.claims import (
    Claimed,
    ClaimHeld,
    NewAttempt,
    StageEnded,
    claim_stage,
    renew_claim,
)
from runner.store.database import Database, open_database
from runner.store.leases import lease_of
from runner.store.queries import run_rows
from runner.store.running import held_stages
from runner.store.schema import claims

HOUR = 3600.0


class Clock:
    """Both clocks of a machine; ``step`` sets the one that can be set."""

    def __init__(self) -> None:
        self.step = 0.0
        self.passed = 0.0

    def time(self) -> float:
        return time.time() + self.step + self.passed

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake = SimpleNamespace(time=clock.time, monotonic=clock.monotonic)
    monkeypatch.setattr(leases, "time", fake)
    monkeypatch.setattr(leases, "server_seconds", lambda _: (clock.time(), -HOUR))
    return clock


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    opened = open_database(where)
    want(opened, ["r1"])
    yield opened
    opened.close()


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another living process."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield child
    child.kill()
    child.wait()


def claim_for(database: Database, pid: int, **values: object) -> Claimed:
    """Claimed a stage as another process of this machine would."""
    claim = take(database, "prepare")
    owner = {
        "pid": pid,
        "process_started": psutil.Process(pid).create_time(),
        "process_ticks": start_ticks(pid),
    }
    with database.write() as connection:
        connection.execute(sa.update(claims).values(**owner | values))
    return claim


def ask_for(database: Database, **how: float) -> Claimed | StageEnded | ClaimHeld:
    environment = record_environment(database, {"machine": "m"})
    return claim_stage(database, "prepare", NewAttempt(environment, {}, "cpu"), **how)


@pytest.mark.slow
@pytest.mark.parametrize("step", [2.5, 2 * HOUR, -2 * HOUR])
def test_a_clock_that_is_set_takes_no_claim_from_a_living_process(
    step: float,
    database: Database,
    clock: Clock,
    other: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim_for(database, other.pid)
    clock.step = step
    real = psutil.Process.create_time  # Linux computes it from the clock and the ticks
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + step)
    held = ask_for(database)
    assert isinstance(held, ClaimHeld)
    assert held.owner.pid == other.pid
    assert held_stages(database, alive=True) == {"prepare"}
    assert [row["status"] for row in run_rows(database)] == ["running"]


@pytest.mark.parametrize("step", [0.0, 2 * HOUR, -2 * HOUR])
def test_a_killed_process_is_known_to_be_dead_whatever_the_clock_says(
    step: float, database: Database, clock: Clock, other: subprocess.Popen[bytes]
) -> None:
    claim_for(database, other.pid)
    clock.step = step
    other.kill()
    other.wait()
    assert held_stages(database, alive=True) == set()
    assert [row["status"] for row in run_rows(database)] == ["unfinished"]
    taken = ask_for(database)
    assert isinstance(taken, Claimed)
    assert taken.took_over


def test_a_stage_is_left_claimed_by_who_died_in_a_later_attempt(
    database: Database, other: subprocess.Popen[bytes]
) -> None:
    before = newest_attempt_id(database)
    claim_for(database, other.pid)
    other.kill()
    other.wait()
    left = ask_for(database, unless_lost_after=before)
    assert isinstance(left, ClaimHeld)
    assert left.owner is not None
    assert left.owner.pid == other.pid
    lost = newest_attempt_id(database)
    taken = ask_for(database, unless_lost_after=lost)
    assert isinstance(taken, Claimed)
    assert taken.took_over == lost > before


def test_a_process_that_renews_nothing_loses_its_claim_in_time_that_passes(
    database: Database, clock: Clock, other: subprocess.Popen[bytes]
) -> None:
    claim_for(database, other.pid)
    clock.passed, clock.step = lease_of(database.dialect).seconds - 1, -2 * HOUR
    assert isinstance(ask_for(database), ClaimHeld)
    clock.passed += 2
    assert isinstance(ask_for(database), Claimed)


def test_renewing_puts_both_ends_of_the_lease_off(database: Database, clock: Clock) -> None:
    claim = take(database, "prepare")
    clock.passed = lease_of(database.dialect).seconds - 1
    renew_claim(database, claim)
    clock.passed += lease_of(database.dialect).seconds - 1
    assert held_stages(database, alive=True) == {"prepare"}


def test_between_machines_the_lease_is_held_against_the_time_of_day(
    database: Database, clock: Clock
) -> None:
    claim_for(database, os.getpid(), host="elsewhere", boot_id="other", lease_monotonic=0.0)
    assert isinstance(ask_for(database), ClaimHeld)
    clock.step = lease_of(database.dialect).seconds + 1
    assert isinstance(ask_for(database), Claimed)


OLD = {"process_ticks": None, "lease_monotonic": None}
"""What a process of the first schema leaves empty, which may be at work after the migration."""


def test_a_living_process_of_an_earlier_version_keeps_its_claim(
    database: Database, clock: Clock, other: subprocess.Popen[bytes]
) -> None:
    started = psutil.Process(other.pid).create_time()
    for moved in (0.0, 2.5, -HOUR):  # its clock may have been set since it looked
        claim = claim_for(database, other.pid, process_started=started + moved, **OLD)
        assert isinstance(ask_for(database), ClaimHeld)
        with database.write() as connection:
            claims_module.release_claim(connection, claim)
    claim_for(database, other.pid, **OLD)
    clock.step = lease_of(database.dialect).seconds + 1  # it has renewed nothing
    assert isinstance(ask_for(database), Claimed)


def test_a_dead_process_of_an_earlier_version_is_known(
    database: Database, other: subprocess.Popen[bytes]
) -> None:
    claim_for(database, other.pid, **OLD)
    other.kill()
    other.wait()
    assert isinstance(ask_for(database), Claimed)

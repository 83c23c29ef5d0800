"""Processes that share one database: each stage is done once, and the dead are replaced."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from forks import OUTPUT, Forks, KillAt
from grids import Undisturbed, ask, left_in, write_grid
from waiting import wait_for

from runner.core.errors import ClaimLost
from runner.core.records import EpochRecord, Metric
from runner.execute.heartbeat import Heartbeat
from runner.store.catalogue import record_environment
from runner.store.claims import (
    Claimed,
    ClaimHeld,
    NewAttempt,
    StageEnded,
    claim_stage,
    hold_claim,
    renew_claim,
)
from runner.store.database import Database, open_database
from runner.store.leases import Moment, lease_of
from runner.store.recorder import end_attempt, record_epochs
from runner.store.schema import attempts, claims, metrics, stages, steps

ATTEMPTS = "SELECT kind, number, status FROM attempts JOIN stages USING (stage_key)"


MEETING = "does a stage of this plan"
STOP_IN_TRAINING = KillAt("epoch begins", 2, signal.SIGSTOP)
STOP_IN_PREPARE = KillAt("images about to be decoded", signal=signal.SIGSTOP)
THREE_RESULTS = "SELECT 1 WHERE (SELECT count(*) FROM results) = 3"


def start_stopped(forks: Forks, folder: Path, words: list[str], stop: KillAt) -> int:
    """Start a process that stops itself; return its id once it has stopped."""
    pid = forks.start(folder, words, stop)
    stopped = psutil.Process(pid)
    wait_for(lambda: stopped.status() == psutil.STATUS_STOPPED)
    return pid


@pytest.mark.slow
def test_two_processes_together_do_every_stage_once(
    forks: Forks, grid: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    pids = [forks.start(tmp_path, ["run", str(grid)]) for _ in range(2)]
    output = tmp_path / OUTPUT
    assert [forks.wait(pid) for pid in pids] == [0, 0], output.read_text()
    kinds = ["evaluate"] * 4 + ["prepare"] + ["train"] * 4
    assert sorted(ask(tmp_path, ATTEMPTS)) == [(kind, 1, "done") for kind in kinds]
    assert left_in(tmp_path) == undisturbed.left


@pytest.mark.slow
def test_a_process_waits_for_a_stage_that_a_living_one_holds(
    forks: Forks, grid: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    first = start_stopped(forks, tmp_path, ["run", str(grid)], STOP_IN_TRAINING)
    second = forks.start(tmp_path, ["run", str(grid)])
    wait_for(lambda: bool(ask(tmp_path, THREE_RESULTS)))
    held = ask(tmp_path, "SELECT pid, kind FROM claims JOIN stages USING (stage_key)")
    assert held == [(first, "train")]
    os.kill(first, signal.SIGCONT)
    assert [forks.wait(first), forks.wait(second)] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert {number for _, number, _ in ask(tmp_path, ATTEMPTS)} == {1}
    assert left_in(tmp_path) == undisturbed.left
    assert MEETING in (tmp_path / OUTPUT).read_text()


@pytest.mark.slow
def test_the_stage_of_a_killed_process_is_taken_over_at_once_by_a_waiting_one(
    forks: Forks, grid: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    first = start_stopped(forks, tmp_path, ["run", str(grid)], STOP_IN_TRAINING)
    second = forks.start(tmp_path, ["run", str(grid)])
    wait_for(lambda: bool(ask(tmp_path, THREE_RESULTS)))
    [(lease_until,)] = ask(tmp_path, "SELECT lease_until FROM claims")
    killed = time.time()
    os.kill(first, signal.SIGKILL)  # not waited for: it stays a zombie, as in many containers
    assert forks.wait(second) == 0, (tmp_path / OUTPUT).read_text()
    # before its lease ends, which is when others take a silent one for dead
    taken_over = "SELECT started FROM attempts JOIN stages USING (stage_key) WHERE number = 2"
    [(started,)] = ask(tmp_path, taken_over)
    assert killed <= started < lease_until
    assert forks.wait(first) == -signal.SIGKILL
    assert ask(tmp_path, f"{ATTEMPTS} WHERE status != 'done'") == [("train", 1, "lost")]
    assert left_in(tmp_path).dump == undisturbed.left.dump


@pytest.mark.slow
def test_a_stage_that_fails_is_tried_by_one_of_two_processes(forks: Forks, tmp_path: Path) -> None:
    spec = write_grid(tmp_path)
    broken = tmp_path / "photos" / "class_0" / "05.png"
    broken.write_bytes(b"no image")
    first = start_stopped(forks, tmp_path, ["run", str(spec)], STOP_IN_PREPARE)
    second = forks.start(tmp_path, ["run", str(spec)])
    wait_for(lambda: MEETING in (tmp_path / OUTPUT).read_text())
    os.kill(first, signal.SIGCONT)
    assert [forks.wait(first), forks.wait(second)] == [1, 1], (tmp_path / OUTPUT).read_text()
    assert ask(tmp_path, ATTEMPTS) == [("prepare", 1, "failed")]
    assert ask(tmp_path, "SELECT status, count(*) FROM results GROUP BY status") == [("failed", 4)]


@pytest.mark.slow
def test_a_divergence_recorded_just_before_a_kill_is_not_trained_again(
    forks: Forks, tmp_path: Path
) -> None:
    spec = write_grid(tmp_path)
    words = ["run", str(spec), "--set", "lr=1.0e+30", "--limit", "1"]
    assert forks.run(tmp_path, words, KillAt("outcome recorded", 2)) == -signal.SIGKILL
    before = ask(tmp_path, ATTEMPTS)
    assert ("train", 1, "diverged") in before
    assert ask(tmp_path, "SELECT count(*) FROM results") == [(0,)]
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert ask(tmp_path, ATTEMPTS) == before
    assert ask(tmp_path, "SELECT status, best_epoch FROM results")[0][0] == "diverged"


@pytest.fixture
def database(where: str) -> Database:
    opened = open_database(where)
    with opened.write() as connection:
        values = {"kind": "train", "spec": {}, "needs": [], "cost_kind": ""}
        for key in ("s", "other"):
            connection.execute(sa.insert(stages).values(stage_key=key, **values))
    yield opened
    opened.close()


def take(
    database: Database, stage: str = "s", **options: object
) -> Claimed | StageEnded | ClaimHeld:
    environment = record_environment(database, {})
    return claim_stage(database, stage, NewAttempt(environment, {}, "cpu"), **options)


def later(seconds: float) -> Moment:
    return Moment(time.time() + seconds, time.monotonic() + seconds)


def give_to(database: Database, **owner: object) -> None:
    """Make the claim another process's."""
    with database.write() as connection:
        connection.execute(sa.update(claims).values(**owner))


def record_of(epoch: int) -> EpochRecord:
    return EpochRecord(epoch, (Metric(epoch, "train", "loss", 1.0),), (1.0,), 0.1, 0.5)


def test_the_lease_of_another_host_is_respected_until_it_expires(database: Database) -> None:
    first = take(database)
    give_to(database, host="elsewhere", pid=1)
    held = take(database)
    assert isinstance(held, ClaimHeld)
    assert held.owner.host == "elsewhere"
    taken = take(database, now=later(121))
    assert isinstance(taken, Claimed)
    assert taken.took_over
    assert taken.attempt_id != first.attempt_id
    with database.read() as connection:
        rows = connection.execute(sa.select(attempts.c.status).order_by(attempts.c.number))
        assert rows.scalars().all() == ["lost", "running"]


def test_a_renewed_lease_is_not_taken_over(database: Database) -> None:
    claim = take(database)
    give_to(database, host="elsewhere", lease_until=0.0)
    renew_claim(database, claim)
    assert isinstance(take(database, now=later(lease_of(database.dialect).seconds - 5)), ClaimHeld)


def test_an_owner_from_before_a_reboot_is_dead(database: Database) -> None:
    take(database)
    give_to(database, boot_id="before", process_started=psutil.boot_time() - 60)
    if database.engine.dialect.name == "postgresql":  # or lives on a machine of the same name
        assert isinstance(take(database), ClaimHeld)
        give_to(database, lease_until=0.0)
    assert isinstance(take(database), Claimed)


def test_an_owner_on_another_machine_of_this_name_is_not_taken_for_dead(
    database: Database,
) -> None:
    """It started after this machine did: not before a reboot, but somewhere else."""
    take(database)
    give_to(database, boot_id="elsewhere", pid=999999999)
    assert isinstance(take(database), ClaimHeld)
    assert isinstance(take(database, now=later(121)), Claimed)


def test_who_lost_a_claim_cannot_record_anything(database: Database) -> None:
    mine = take(database)
    give_to(database, host="elsewhere")
    theirs = take(database, now=later(121))
    with pytest.raises(ClaimLost):
        record_epochs(database, mine, [record_of(1)])
    with pytest.raises(ClaimLost):
        end_attempt(database, mine, "done", 1.0, outcome={"parameters": 1})
    with pytest.raises(ClaimLost):
        renew_claim(database, mine)
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(steps)).scalar() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(metrics)).scalar() == 0
    record_epochs(database, theirs, [record_of(1)])
    end_attempt(database, theirs, "done", 1.0, outcome={"parameters": 1})
    assert take(database) == StageEnded("done")


def test_a_heartbeat_notices_that_the_claim_is_lost(database: Database) -> None:
    mine = take(database)
    with Heartbeat(database, seconds=0.01) as heartbeat:
        heartbeat.keep(mine)
        time.sleep(0.05)
        assert heartbeat.ended is None
        with database.write() as connection:
            connection.execute(sa.delete(claims))
        wait_for(lambda: heartbeat.ended is not None)
        assert isinstance(heartbeat.ended, ClaimLost)


def test_one_heartbeat_keeps_several_claims_and_goes_on_when_one_is_lost(
    database: Database,
) -> None:
    lost, kept = take(database, now=later(-100)), take(database, now=later(-100), stage="other")

    def until() -> float:
        leases = sa.select(claims.c.lease_until).where(claims.c.stage_key == kept.stage_key)
        with database.read() as connection:
            return connection.execute(leases).scalar_one()

    with Heartbeat(database, seconds=0.01) as heartbeat:
        heartbeat.keep(lost)
        heartbeat.keep(kept)
        with database.write() as connection:
            connection.execute(sa.delete(claims).where(claims.c.stage_key == lost.stage_key))
        wait_for(lambda: until() > time.time() + 15)
        time.sleep(0.05)
        assert heartbeat.ended is None
        heartbeat.drop(kept)
        end_attempt(database, kept, "done", 1.0)
        time.sleep(0.05)
        assert heartbeat.ended is None


def test_a_heartbeat_extends_the_lease(database: Database) -> None:
    mine = take(database, now=later(-100))

    def until() -> float:
        with database.read() as connection:
            return connection.execute(sa.select(claims.c.lease_until)).scalar_one()

    began = until()
    with Heartbeat(database, seconds=0.01) as heartbeat:
        heartbeat.keep(mine)
        wait_for(lambda: until() > began + 60)
    with database.write() as connection:
        hold_claim(connection, mine)


def test_failures_before_this_invocation_are_tried_again_later_ones_are_not(
    database: Database,
) -> None:
    first = take(database)
    end_attempt(database, first, "failed", 1.0, error="no memory")
    assert take(database, failures=0) == StageEnded("failed", "no memory")
    assert isinstance(take(database, failures=1), Claimed)

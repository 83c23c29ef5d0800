"""Many workers on one database, some killed, the server restarted: nothing lost or twice."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import claimants
import pytest
import sqlalchemy as sa
from postgres import PostgresServer, running_server
from waiting import PATIENCE, wait_for

from runner.core.errors import ClaimLost, StoreUnreachable
from runner.core.records import EpochRecord, Produced
from runner.store import leases
from runner.store import postgres as postgres_module
from runner.store.backend import Beside
from runner.store.catalogue import record_environment
from runner.store.checking import check_everything
from runner.store.claims import (
    Claimed,
    ClaimHeld,
    NewAttempt,
    claim_stage,
    look_at_stage,
    renew_claim,
)
from runner.store.database import Database, open_database, read_again
from runner.store.locks import lock_claiming
from runner.store.progress import ended_stages
from runner.store.recorder import end_attempt, record_epochs
from runner.store.schema import attempts, claims, stages, steps


def with_stages(where: str, count: int) -> Database:
    database = open_database(where)
    values = {"kind": "train", "spec": {}, "needs": [], "cost_kind": ""}
    with database.write() as connection:
        rows = [{"stage_key": f"s{number % 7}-{number:03d}", **values} for number in range(count)]
        connection.execute(sa.insert(stages), rows)
    return database


class Workers:
    """Processes that do stages, started anew when they were killed."""

    def __init__(self, where: str, marks: Path) -> None:
        self._words = [sys.executable, claimants.__file__, where, str(marks)]
        self._log = marks.parent / "log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.processes.append(subprocess.Popen(self._words, stdout=log, stderr=log))

    def kill_one(self) -> None:
        victim = random.choice(self.processes)
        if victim.poll() is None:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            self.processes.remove(victim)
            self.start()

    def wait(self) -> None:
        for process in self.processes:
            assert process.wait(PATIENCE) == 0, self._log.read_text()


def check_all_done(database: Database, count: int) -> None:
    with database.read() as connection:
        done = sa.select(attempts.c.id, attempts.c.stage_key).where(attempts.c.status == "done")
        rows = connection.execute(done).all()
        statuses = set(connection.execute(sa.select(attempts.c.status)).scalars())
        assert connection.execute(sa.select(claims)).all() == []
        epochs = sa.select(steps.c.attempt_id, sa.func.count()).group_by(steps.c.attempt_id)
        recorded = dict(list(map(tuple, connection.execute(epochs))))
        problems = [each for kind in check_everything(connection) for each in kind.problems]
    assert len(rows) == count
    assert len({row.stage_key for row in rows}) == count, "a stage was done twice"
    assert all(recorded[row.id] == claimants.EPOCHS for row in rows)
    assert statuses <= {"done", "lost"}
    assert problems == []


@pytest.mark.slow
def test_killed_workers_lose_nothing_and_nothing_is_done_twice(where: str, tmp_path: Path) -> None:
    count = 30
    (tmp_path / "marks").mkdir()
    database = with_stages(where, count)
    workers = Workers(where, tmp_path / "marks")
    for _ in range(4):
        workers.start()
    for _ in range(4):
        time.sleep(random.uniform(0.2, 0.6))
        workers.kill_one()
    workers.wait()
    check_all_done(database, count)
    database.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with running_server(may_crash=True) as server:
        yield server


@pytest.mark.slow
@pytest.mark.postgres
def test_a_server_that_restarts_loses_nothing_and_nothing_is_done_twice(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    count = 80
    (tmp_path / "marks").mkdir()
    url = own_server.new_database()
    database = with_stages(url, count)
    workers = Workers(url, tmp_path / "marks")
    for _ in range(4):
        workers.start()
    wait_for(lambda: len(list(tmp_path.glob("opened-*"))) == 4)
    for number in range(3):
        time.sleep(random.uniform(0.3, 1.0))
        own_server.stop(crash=bool(number % 2))
        time.sleep(random.uniform(0.0, 0.5))
        own_server.start()
    workers.wait()
    check_all_done(database, count)
    marks = [path.read_text().split() for path in (tmp_path / "marks").iterdir()]
    # nobody was killed: who began a stage has ended it, over all restarts
    assert len(marks) == count
    assert all(len(each) == 1 for each in marks)
    database.close()


@pytest.mark.postgres
def test_a_commit_that_nobody_heard_of_is_not_done_again(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = with_stages(own_server.new_database(), 2)
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    real, lost = sa.engine.base.RootTransaction.commit, []

    def commit(transaction: sa.RootTransaction) -> None:
        if lost:
            real(transaction)
            return
        raw = transaction.connection.connection.driver_connection
        lost.append(raw)
        real(transaction)
        raw.close()  # the server has it; its answer never came
        raise sa.exc.OperationalError("COMMIT", None, ConnectionGone())

    monkeypatch.setattr(sa.engine.base.RootTransaction, "commit", commit)
    claim = claim_stage(database, "s0-000", attempt)
    assert isinstance(claim, Claimed)
    assert len(lost) == 1
    end_attempt(database, claim, "done", 1.0)
    assert ended_stages(database) == {"s0-000": "done"}
    with database.read() as connection:
        numbers = connection.execute(sa.select(attempts.c.number)).scalars().all()
    assert numbers == [1]
    database.close()


def ConnectionGone() -> Exception:
    psycopg = pytest.importorskip("psycopg")
    return psycopg.OperationalError("the connection is gone")


@pytest.mark.postgres
def test_a_server_that_stays_away_is_said_in_words(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = with_stages(own_server.new_database(), 1)
    monkeypatch.setattr(postgres_module, "PATIENCE_SECONDS", 0.2)
    own_server.stop()
    for ask in (ended_stages, lambda database: record_environment(database, {"a": 1})):
        with pytest.raises(StoreUnreachable, match=r"postgresql.*does not answer.*\n.*server is"):
            ask(database)
    own_server.start()
    assert ended_stages(database) == {}
    database.close()


def test_a_worker_that_wakes_after_its_lease_writes_nothing(where: str) -> None:
    """As one that was stopped, or whose machine slept, while another took its stage over."""
    database = with_stages(where, 1)
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    stale = claim_stage(database, "s0-000", attempt)
    with database.write() as connection:
        gone = {"host": "elsewhere", "lease_until": 0.0}
        connection.execute(sa.update(claims).values(**gone))
    other = claim_stage(database, "s0-000", attempt)
    assert isinstance(stale, Claimed)
    assert isinstance(other, Claimed)
    assert other.took_over
    weights = [Produced("weights/a-best", "stale", 1)]
    for write in (
        lambda: record_epochs(database, stale, [EpochRecord(1, (), (1.0,), 0.1, 0.5)]),
        lambda: end_attempt(database, stale, "done", 1.0, {"parameters": 1}, produced=weights),
    ):
        with pytest.raises(ClaimLost):
            write()
    end_attempt(database, other, "done", 1.0)
    with pytest.raises(ClaimLost):
        end_attempt(database, stale, "failed", 1.0)
    with database.read() as connection:
        found = connection.execute(
            sa.select(attempts.c.status).order_by(attempts.c.number)
        ).scalars()
        assert found.all() == ["lost", "done"]
        assert connection.execute(sa.select(steps)).all() == []
    database.close()


@pytest.mark.postgres
@pytest.mark.parametrize("is_crash", [True, False])
def test_leases_do_not_run_out_while_the_server_is_away(
    is_crash: bool, own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on within one process, too, where another of its processes has crashed."""
    up, real = leases.SERVER_LEASE.seconds + 1, leases.server_seconds

    def seconds(connection: sa.Connection) -> tuple[float, float]:
        _, started = real(connection)
        return started + up, started

    @read_again
    def started() -> float:
        with database.read() as connection:
            return real(connection)[1]

    monkeypatch.setattr(leases, "server_seconds", seconds)
    database = with_stages(own_server.new_database(), 1)
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    assert isinstance(claim_stage(database, "s0-000", attempt), Claimed)
    with database.write() as connection:
        connection.execute(sa.update(claims).values(host="elsewhere", lease_until=0.0))
    assert look_at_stage(database, "s0-000") is None  # it has long been up
    before = started()
    if is_crash:
        with database.read() as connection:
            backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        os.kill(backend, signal.SIGKILL)
    else:
        own_server.stop()
        own_server.start()
    wait_for(lambda: started() > before)
    up -= 2
    assert isinstance(look_at_stage(database, "s0-000"), ClaimHeld)
    up += 2
    assert look_at_stage(database, "s0-000") is None
    database.close()


@pytest.mark.postgres
def test_attempts_appear_in_the_order_of_their_ids(postgres_server: PostgresServer) -> None:
    """Whoever looks for attempts after the newest that it knows must miss none."""
    url = postgres_server.new_database()
    database = with_stages(url, 2)
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    claimed: list[object] = []
    other = threading.Thread(
        target=lambda: claimed.append(claim_stage(database, "s1-001", attempt))
    )
    with database.write(beside=Beside.OTHERS) as connection:
        lock_claiming(connection)  # as in a claim that is not committed yet
        values = {"stage_key": "s0-000", "number": 1, "status": "running", "environment_id": 1}
        values |= {"numerics": {}, "device": "cpu", "started": 0.0, "error": ""}
        first = connection.execute(sa.insert(attempts).values(**values)).inserted_primary_key[0]
        other.start()
        other.join(0.3)
        assert claimed == []
        record_environment(database, {"others": "write meanwhile"})
    other.join(PATIENCE)
    assert claimed[0].attempt_id > first
    database.close()


@pytest.mark.postgres
def test_a_stage_that_another_is_just_claiming_is_not_waited_for(
    postgres_server: PostgresServer,
) -> None:
    """Who waits for the end of all claims waits with one that it can get."""
    database = with_stages(postgres_server.new_database(), 1)
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    with database.write(beside=Beside.OTHERS) as connection:
        row = sa.select(stages).where(stages.c.stage_key == "s0-000")
        connection.execute(row.with_for_update(key_share=True))
        lock_claiming(connection)
        started = time.monotonic()
        held = claim_stage(database, "s0-000", attempt, in_the_way=lambda *_: None)
        assert isinstance(held, ClaimHeld)
        assert time.monotonic() - started < postgres_module.BUSY_SECONDS / 2
    assert isinstance(claim_stage(database, "s0-000", attempt), Claimed)
    database.close()


@pytest.mark.postgres
def test_a_claim_stays_its_owners_while_another_waits_to_take_it(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is not waited for; what has run out is renewed all the same until it is taken."""
    monkeypatch.setattr(leases, "server_seconds", lambda _: (time.time(), 0.0))
    database = with_stages(postgres_server.new_database(), 1)
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    claim = claim_stage(database, "s0-000", attempt)
    with database.write() as connection:
        connection.execute(sa.update(claims).values(host="elsewhere"))
    answers: list[object] = []

    def take() -> None:
        answers.append(claim_stage(database, "s0-000", attempt, in_the_way=lambda *_: None))

    with database.write(beside=Beside.OTHERS) as connection:
        lock_claiming(connection)
        started = time.monotonic()
        take()
        with database.write(beside=Beside.OTHERS) as other:
            other.execute(sa.update(claims).values(lease_until=0.0))
        waiting = threading.Thread(target=take)
        waiting.start()
        wait_for(lambda: is_waited_for(database))
        renew_claim(database, claim)
        assert time.monotonic() - started < postgres_module.BUSY_SECONDS / 2
    waiting.join(PATIENCE)
    assert [type(each) for each in answers] == [ClaimHeld, ClaimHeld]
    database.close()


def is_waited_for(database: Database) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with database.read() as connection:
        return bool(connection.exec_driver_sql(query).scalar_one())


@pytest.mark.slow
@pytest.mark.postgres
def test_a_stage_that_is_just_being_written_is_not_taken_over(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when its lease has run out: its owner holds the row of the claim."""
    monkeypatch.setattr(leases, "server_seconds", lambda _: (time.time(), 0.0))
    database = with_stages(postgres_server.new_database(), 2)
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    claim = claim_stage(database, "s0-000", attempt)
    with database.write() as connection:
        connection.execute(sa.update(claims).values(host="elsewhere", lease_until=0.0))
    with database.write(beside=Beside.OTHERS) as connection:
        row = sa.select(claims).where(claims.c.stage_key == "s0-000")
        connection.execute(row.with_for_update())
        started = time.monotonic()
        held = claim_stage(database, "s0-000", attempt)
        assert not isinstance(held, Claimed)
        assert held.owner.host == "elsewhere"
        assert isinstance(claim_stage(database, "s1-001", attempt), Claimed)
        assert time.monotonic() - started < postgres_module.BUSY_SECONDS / 2
    assert isinstance(claim_stage(database, "s0-000", attempt), Claimed)
    assert claim != held
    database.close()

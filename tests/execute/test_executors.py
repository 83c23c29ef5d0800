"""Every executor leaves the same, whatever is stopped or killed; workers get plain values only."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from forks import OUTPUT, Forks
from grids import Left, Undisturbed, ask, left_in, write_grid
from shared_specs import TWO_BRANCHES, Log
from waiting import wait_for

import runner.execute.coordinator as coordinator
from runner.api.running import run
from runner.artifacts.process import start_ticks, this_process
from runner.bind.request import EXECUTOR_NAMES, RAY, Request
from runner.core.errors import Interrupted, UsageError
from runner.execute import EXECUTORS
from runner.execute.plan_execution import PlanExecution, StageTask
from runner.store.catalogue import record_environment
from runner.store.claims import NewAttempt, claim_stage, look_at_stage
from runner.store.database import Database, open_database
from runner.store.schema import claims

LONG = ("--set", "epochs=150", "--only", "lr=0.03", "--only", "dropout=0.3")
AT_WORK = "SELECT pid FROM claims JOIN stages USING (stage_key) WHERE kind = 'train'"
CHILD = ("--executor", "process")


def test_the_names_of_executors_are_those_that_can_be_asked_for() -> None:
    assert tuple(EXECUTORS) == EXECUTOR_NAMES
    with pytest.raises(UsageError, match="did you mean: process\n    allowed: local, process"):
        Request(["spec.yaml"], executor="proces")


def captured(spec: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> PlanExecution:
    """Return what an executor is handed for a spec."""
    handed: list[PlanExecution] = []

    def take(execution: PlanExecution) -> bool:
        handed.append(execution)
        return True

    monkeypatch.setitem(EXECUTORS, "local", take)
    request = Request([spec], db=folder / "results.db", threads=1)
    run(request)
    return handed[0]


def test_what_a_worker_is_given_can_be_pickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = captured(write_grid(tmp_path, TWO_BRANCHES), tmp_path, monkeypatch)
    assert pickle.loads(pickle.dumps(execution.setup)) == execution.setup
    for stage in execution.plan.stages:
        task = StageTask(stage, False, 0, {}, {}, None)
        assert pickle.loads(pickle.dumps(task)) == task


@pytest.mark.slow
def test_a_grid_done_in_a_child_leaves_what_one_done_here_leaves(
    forks: Forks, grid: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    assert forks.run(tmp_path, ["run", str(grid), *CHILD]) == 0, (tmp_path / OUTPUT).read_text()
    assert left_in(tmp_path) == undisturbed.left


@pytest.fixture(scope="module")
def long_run(forks: Forks, grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("long")
    assert forks.run(folder, ["run", str(grid), *LONG]) == 0
    return left_in(folder)


def start_training(forks: Forks, folder: Path, words: list[str]) -> tuple[int, int]:
    """Start a run; return its process and the one that trains, once it does."""
    pid = forks.start(folder, words)
    at_work = wait_for(lambda: (folder / "results.db").exists() and training(folder))
    return pid, at_work[0][0]


def training(folder: Path) -> list[tuple[Any, ...]]:
    try:
        return ask(folder, AT_WORK)
    except Exception:  # no tables yet
        return []


@pytest.mark.slow(7)
@pytest.mark.parametrize("executor", [name for name in EXECUTORS if name != RAY])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_or_killed_goes_on_to_the_same_end(
    number: int, executor: str, forks: Forks, grid: Path, long_run: Left, tmp_path: Path
) -> None:
    words = ["run", str(grid), *LONG, "--executor", executor, "--checkpoint-seconds", "0"]
    pid, at_work = start_training(forks, tmp_path, words)
    assert (at_work == pid) == (executor == "local")
    for process in {pid, at_work} if number == signal.SIGTERM else {pid}:
        os.kill(process, number)  # a scheduler asks all processes of a job to end
    assert forks.wait(pid) == (-number if number == signal.SIGKILL else 130)
    assert "Traceback" not in (tmp_path / OUTPUT).read_text()
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    left = left_in(tmp_path)
    assert (left.dump, left.files, left.litter) == (long_run.dump, long_run.files, ())
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]


@pytest.mark.slow
def test_a_child_that_is_killed_fails_its_stage_alone(
    forks: Forks, grid: Path, long_run: Left, tmp_path: Path
) -> None:
    words = ["run", str(grid), *LONG[:-2], *CHILD]  # two runs
    pid, child = start_training(forks, tmp_path, words)
    os.kill(child, signal.SIGKILL)
    assert forks.wait(pid) == 1, (tmp_path / OUTPUT).read_text()
    results = ask(tmp_path, "SELECT status, message FROM results ORDER BY recorded")
    message = (
        "the process that did this stage was killed by SIGKILL; the system does that when memory"
        " runs out"
    )
    assert results == [("failed", message), ("done", "")]
    assert forks.run(tmp_path, [*words, "--retry-failed"]) == 0
    assert ask(tmp_path, "SELECT status FROM results") == [("done",), ("done",)]


def test_looking_whether_a_stage_is_free_waits_for_no_writer(tmp_path: Path) -> None:
    database = open_database(tmp_path / "results.db")
    with database.write():
        assert look_at_stage(database, "s") is None
    database.close()


@pytest.mark.slow
def test_waiting_for_what_another_process_does_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, path = write_grid(tmp_path, TWO_BRANCHES), tmp_path / "results.db"
    plan = captured(spec, tmp_path, monkeypatch).plan
    monkeypatch.undo()
    monkeypatch.setattr(coordinator, "WAIT_SECONDS", 0.0)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        database = open_database(path)
        claim_stage(
            database, plan.stages[0].key, NewAttempt(record_environment(database, {}), {}, "cpu")
        )
        owner = this_process()
        with database.write() as connection:
            ticks = start_ticks(other.pid)
            connection.execute(sa.update(claims).values(pid=other.pid, process_ticks=ticks))
        database.close()
        writes: list[int] = [0]
        at_polls: list[int] = []
        real = Database.write

        def counted(self: Database) -> Any:
            writes[0] += 1
            return real(self)

        def stop() -> bool:
            at_polls.append(writes[0])
            return len(at_polls) == 6

        monkeypatch.setattr(Database, "write", counted)
        log = Log()
        with pytest.raises(Interrupted):
            run(Request([spec], db=path, threads=1), listen=lambda planned: log, should_stop=stop)
    finally:
        other.kill()
        other.wait()
    assert log.began == []
    assert f"process {other.pid} on {owner.host} does a stage of this plan" in log.notes[0]
    assert len(set(at_polls)) == 1

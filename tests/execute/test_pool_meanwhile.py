"""Workers of a pool begin with what is asked for beside a long stage, and end as one program."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask, left_in, write_photos
from shared_specs import Log
from waiting import wait_for

from runner.api.running import run
from runner.api.working import work
from runner.core.errors import RunnerError
from runner.execute.pool_news import PoolNews

SPEC = """\
name: %s
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [4]}
train: {batch_size: 8, epochs: %d}
sweep:
  grid: {lr: [%s]}
"""
FOREVER = 100_000
DONE = "SELECT count(*) FROM results WHERE status = 'done'"
AT_WORK = "SELECT pid FROM claims JOIN stages USING (stage_key) WHERE kind = 'train'"
TRAININGS = "SELECT status FROM attempts JOIN stages USING (stage_key) WHERE kind = 'train'"


def ask_for(folder: Path, name: str, epochs: int, rates: float | str) -> None:
    """Record a training as wanted, and do nothing of it."""
    if not (folder / "photos").is_dir():
        write_photos(folder / "photos")
    spec = folder / f"{name}.yaml"
    spec.write_text(SPEC % (name, epochs, rates))
    run([spec], db=folder / "results.db", workers=0, threads=1)


def training(folder: Path) -> list[int]:
    """Return the process of each training that is claimed."""
    return [pid for (pid,) in ask(folder, AT_WORK)]


def stop_between_writes(folder: Path, pid: int) -> None:
    """Let a process stand still, but not while it keeps others from writing."""

    def stands_still() -> bool:
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        with closing(sqlite3.connect(folder / "results.db", timeout=0.2)) as raw:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                return False
            raw.rollback()
        return True

    wait_for(stands_still)


@pytest.mark.slow
def test_what_is_asked_for_is_done_beside_a_stage_that_goes_on(
    forks: Forks, tmp_path: Path
) -> None:
    meanwhile, alone = tmp_path / "meanwhile", tmp_path / "alone"
    for folder in (meanwhile, alone):
        folder.mkdir()
        ask_for(folder, "first", 60, 0.1)
    pid = forks.start(meanwhile, ["worker", "--slots", "2", "--threads", "1"])
    [first] = wait_for(lambda: training(meanwhile))
    stop_between_writes(meanwhile, first)
    for number, name in enumerate(("second", "third"), start=1):
        ask_for(meanwhile, name, 3, 0.1 / (number + 1))
        wait_for(lambda number=number: ask(meanwhile, DONE) == [(number,)])
        assert training(meanwhile) == [first]
    os.kill(first, signal.SIGCONT)
    said = (meanwhile / OUTPUT).read_text
    assert forks.wait(pid) == 0, said()
    assert "3 runs: 3 done" in said()
    assert set(ask(meanwhile, "SELECT number, status FROM attempts")) == {(1, "done")}

    ask_for(alone, "second", 3, 0.1 / 2)
    ask_for(alone, "third", 3, 0.1 / 3)
    assert forks.run(alone, ["worker", "--threads", "1"]) == 0
    assert left_in(meanwhile).dump == left_in(alone).dump


@pytest.mark.slow
def test_what_replaces_trainings_is_done_beside_them(forks: Forks, tmp_path: Path) -> None:
    """Who does what nobody wants any more does nothing of the new plan."""
    ask_for(tmp_path, "first", FOREVER, "0.1, 0.2")
    pid = forks.start(tmp_path, ["worker", "--slots", "3", "--threads", "1"])
    wait_for(lambda: len(training(tmp_path)) == 2)
    ask_for(tmp_path, "first", 3, 0.3)
    wait_for(lambda: ask(tmp_path, DONE) == [(1,)])
    assert len(training(tmp_path)) == 2
    os.kill(pid, signal.SIGINT)
    assert forks.wait(pid) == 0, (tmp_path / OUTPUT).read_text()  # all that is wanted is done


@pytest.mark.slow
def test_what_is_planned_anew_is_done_beside_a_stage_that_goes_on(
    forks: Forks, tmp_path: Path
) -> None:
    """Another command has trained epochs of it meanwhile."""
    ask_for(tmp_path, "short", 3, 0.2)
    stop = KillAt("epoch begins", 2, signal.SIGSTOP)
    other = forks.start(tmp_path, ["run", "short.yaml", "--threads", "1"], stop)
    wait_for(lambda: psutil.Process(other).status() == psutil.STATUS_STOPPED)
    rows = "rows: [{lr: 0.1, epochs: 60}, {lr: 0.2, epochs: 5}]"
    spec = (SPEC % ("both", 5, 0.1)).replace("grid: {lr: [0.1]}", rows)
    (tmp_path / "both.yaml").write_text(spec)
    pid = forks.start(tmp_path, ["run", "both.yaml", "--workers", "2", "--threads", "1"])
    wait_for(lambda: len(training(tmp_path)) == 2)
    [first] = set(training(tmp_path)) - {other}
    stop_between_writes(tmp_path, first)
    said = (tmp_path / OUTPUT).read_text
    wait_for(lambda: "does a stage of this plan" in said())
    os.kill(other, signal.SIGCONT)
    assert forks.wait(other) == 0, said()
    wait_for(lambda: ask(tmp_path, DONE) == [(2,)])
    assert training(tmp_path) == [first]
    os.kill(first, signal.SIGCONT)
    assert forks.wait(pid) == 0, said()
    assert ask(tmp_path, DONE) == [(3,)]
    assert ask(tmp_path, "SELECT count(*) FROM steps") == [(60 + 5,)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_workers_of_several_plans_stop_together(
    number: int, code: int, forks: Forks, tmp_path: Path
) -> None:
    ask_for(tmp_path, "first", FOREVER, 0.1)
    pid = forks.start(tmp_path, ["worker", "--slots", "2", "--threads", "1"])
    wait_for(lambda: training(tmp_path))
    ask_for(tmp_path, "second", FOREVER, 0.2)
    wait_for(lambda: len(training(tmp_path)) == 2)
    both = training(tmp_path)
    os.kill(pid, number)
    said = (tmp_path / OUTPUT).read_text
    assert forks.wait(pid) == code, said()
    assert ask(tmp_path, TRAININGS) == [("interrupted",)] * 2
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
    assert not any(map(psutil.pid_exists, both))
    assert "Traceback" not in said()


@pytest.mark.slow
@pytest.mark.parametrize("error", [RunnerError, KeyboardInterrupt])
def test_an_error_between_two_plans_leaves_no_worker(
    error: type[BaseException], tmp_path: Path
) -> None:
    """They end at a checkpoint, but for a second Ctrl-C."""
    ask_for(tmp_path, "first", FOREVER, 0.1)
    plans: list[Any] = []

    def listen(planned: Any) -> Log:
        plans.append(planned)
        if len(plans) == 2:
            raise error("while planning")
        return Log()

    def should_stop() -> bool:
        if len(plans) == 1 and training(tmp_path) and not (tmp_path / "second.yaml").exists():
            ask_for(tmp_path, "second", 3, 0.2)
        return False

    with pytest.raises(error, match="while planning"):
        work(tmp_path / "results.db", listen=listen, should_stop=should_stop, workers=2, threads=1)
    assert multiprocessing.active_children() == []
    ends = ["interrupted"] if error is RunnerError else ["running"]
    assert [status for (status,) in ask(tmp_path, TRAININGS)] == ends


def stage(key: str) -> Any:
    return SimpleNamespace(key=key, kind=key)


def plan(*keys: str, runs: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(stages=[stage(key) for key in keys], stages_by_run=dict.fromkeys(runs))


def test_news_of_a_plan_go_on_with_what_is_at_work_and_tell_each_end_once() -> None:
    first, second, news = Log(), Log(), PoolNews()
    at_work: dict[str, Any] = {}
    others: dict[str, Any] = {}
    news.begin(plan("a", "b"), first, None)
    news.told(at_work, "on_stage_start", "a", ())
    news.told(others, "on_stage_end", "b", ("failed", 1.0, "why"))
    assert len(news.left_over) == 1

    news.begin(plan("b", "c", runs=("r",)), second, at_work)  # b is asked for again
    assert second.began == ["a"]
    news.told(others, "on_stage_start", "b", ())
    news.told(others, "on_stage_end", "b", ("done", 1.0, ""))
    news.told(at_work, "on_stage_end", "b", ("done", 0.0, ""))
    news.told(at_work, "on_stage_end", "a", ("diverged", 1.0, ""))  # of the plan before
    assert (len(news.left_over), second.ended) == (1, ["done", "diverged"])
    assert (first.began, first.ended) == (["a"], ["failed"])


def test_an_end_that_was_told_twice_is_no_end_in_a_later_plan() -> None:
    log, news = Log(), PoolNews()
    at_work: dict[str, Any] = {}
    news.begin(plan("a"), Log(), None)
    news.told(at_work, "on_stage_start", "a", ())
    news.told({}, "on_stage_end", "a", ("failed", 0.0, "why"))  # another worker has read it
    news.told(at_work, "on_stage_end", "a", ("failed", 1.0, "why"))

    news.begin(plan("a"), log, {})  # it is tried again
    news.told(at_work, "on_stage_start", "a", ())
    news.told(at_work, "on_stage_left", "a", ())
    assert (log.ended, news.left_over) == ([], {"a"})

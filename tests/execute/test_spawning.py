"""Children of a run: no signal, and no death of one of them, holds up the others."""

import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from grids import ask, write_grid

from runner.api.running import run
from runner.core.errors import Interrupted
from runner.core.stages import Stage
from runner.execute.listener import NullListener
from runner.execute.spawning import ASKS_TO_STOP, Flag, started

GRID = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6]}
train: {epochs: 1, batch_size: 8}
sweep:
  grid: {lr: [0.01, 0.02]}
"""
BY_CHILDREN = pytest.mark.parametrize("options", [{"workers": 2}, {"executor": "process"}])


class Notes(NullListener):
    """Keeps what it is told in words."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_note(self, note: str) -> None:
        self.told.append(note)


def read_twice(flag: Flag, pipe: Any) -> None:
    pipe.send(flag.is_set())
    pipe.recv()
    pipe.send(flag.is_set())


@pytest.mark.slow
def test_children_see_a_flag_that_their_parent_sets_later() -> None:
    spawning = multiprocessing.get_context("spawn")
    flag, (pipe, theirs) = Flag(spawning), spawning.Pipe()
    child = spawning.Process(target=read_twice, args=(flag, theirs), daemon=True)
    child.start()
    assert (flag.is_set(), pipe.recv()) == (False, False)
    flag.set()
    pipe.send("set")
    assert (flag.is_set(), pipe.recv()) == (True, True)
    child.join()
    assert child.exitcode == 0


@pytest.mark.slow
@BY_CHILDREN
def test_children_share_no_lock_that_one_could_be_killed_with(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a lock that several processes take")

    spec = write_grid(tmp_path, GRID)
    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuse)
    done = run([spec], db=tmp_path / "results.db", threads=1, **options)
    assert set(done.statuses.values()) == {"done"}


SIGNALLED = """\
import os, signal, sys
from multiprocessing.process import BaseProcess

import psutil

start = BaseProcess.start


def start_and_be_signalled(child):
    start(child)
    for process in psutil.Process().children():  # as Ctrl-C and a scheduler do
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            process.send_signal(number)


BaseProcess.start = start_and_be_signalled
from runner.__main__ import main

main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--workers", "2"), ("--executor", "process")])
def test_signals_while_children_start_are_their_parents(
    words: tuple[str, str], tmp_path: Path
) -> None:
    spec = write_grid(tmp_path, GRID)
    command = [sys.executable, "-c", SIGNALLED, "run", str(spec), "--threads", "1", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "killed" not in done.stderr
    assert "resource_tracker" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fast_cases(1)
@BY_CHILDREN
def test_a_child_that_dies_when_all_are_asked_to_stop_is_not_replaced_and_no_error(
    options: dict[str, Any], tmp_path: Path
) -> None:
    notes = Notes()
    killed = False

    def should_stop() -> bool:
        nonlocal killed
        if killed:
            return True
        for child in multiprocessing.active_children():
            child.kill()
            killed = True
        return False

    spec = write_grid(tmp_path, GRID)
    with pytest.raises(Interrupted):
        run(
            [spec],
            db=tmp_path / "results.db",
            threads=1,
            listen=lambda planned: notes,
            should_stop=should_stop,
            **options,
        )
    assert notes.told == []


class Began(NullListener):
    """Knows whether a stage has begun."""

    has_begun = False

    def on_stage_start(self, stage: Stage) -> None:
        self.has_begun = True


@pytest.mark.slow
def test_a_stage_whose_child_dies_when_it_is_asked_to_stop_has_not_failed(tmp_path: Path) -> None:
    began = Began()

    def should_stop() -> bool:
        if not began.has_begun:
            return False
        for child in multiprocessing.active_children():
            child.kill()
        return True

    spec = write_grid(tmp_path, GRID.replace("epochs: 1", "epochs: 1000"))
    options: dict[str, Any] = {"db": tmp_path / "results.db", "threads": 1, "executor": "process"}
    with pytest.raises(Interrupted, match="the process that does the stages was killed by SIGKILL"):
        run([spec], listen=lambda planned: began, should_stop=should_stop, **options)
    assert ask(tmp_path, "SELECT status FROM attempts") == [("lost",)]
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]


def blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_signals_are_heard_again_once_a_child_has_started() -> None:
    before = blocked()
    with started(multiprocessing.get_context("spawn"), print) as child:
        assert set(ASKS_TO_STOP) <= blocked()
        child.kill()
    child.join()
    assert blocked() == before


@pytest.mark.fast_cases(1)
@BY_CHILDREN
def test_a_child_that_could_not_be_started_is_not_there_to_be_killed(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("Ctrl-C")

    spec = write_grid(tmp_path, GRID)
    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", interrupt)
    with pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        run([spec], db=tmp_path / "results.db", threads=1, **options)
    assert not set(ASKS_TO_STOP) & blocked()

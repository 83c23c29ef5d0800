"""How `runner worker` ends: its exit codes, and that its claims are given back."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import Call

from runner.engine.training.loop import Training


def claims() -> int:
    with closing(sqlite3.connect("results.db")) as raw:
        return int(raw.execute("SELECT count(*) FROM claims").fetchone()[0])


def send_in_first_epoch(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """Send this process a signal when the first epoch of a training begins."""
    original: Callable[..., Any] = Training.begin
    to_send = [number]

    def begin(*taken: Any, **named: Any) -> Any:
        if to_send:
            os.kill(os.getpid(), to_send.pop())
        return original(*taken, **named)

    monkeypatch.setattr(Training, "begin", begin)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGUSR1, 75)])
@pytest.mark.parametrize("command", [pytest.param("run", marks=pytest.mark.slow), "worker"])
def test_stopped_by_a_scheduler(
    number: signal.Signals,
    code: int,
    command: str,
    fresh: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert call("run", "tiny.yaml", "--workers", 0).code == 0
    words = ["run", "tiny.yaml"] if command == "run" else ["worker"]
    with monkeypatch.context() as patch:
        send_in_first_epoch(patch, number)
        stopped = call(*words, "--device", "cpu")
    assert (stopped.code, stopped.out) == (code, ""), stopped.err
    assert "stopping after the current step" in stopped.err
    assert "error:" not in stopped.err
    assert claims() == 0


def test_time_in_which_nothing_has_moved_is_an_error(fresh: Path, call: Call) -> None:
    assert call("run", "tiny.yaml", "--workers", 0).code == 0
    over = call("worker", "--max-hours", "1e-9", "--device", "cpu")
    assert over.code == 1
    assert "4 runs left; the time was over\n" in over.err
    assert "error: in all its time no stage has ended and no training got further\n" in over.err
    assert "hint: give it more time: images and features must be made in it" in over.err


def test_time_does_not_matter_where_nothing_is_left(tiny: Path, call: Call) -> None:
    assert call("worker", "--max-hours", "1e-9", "--device", "cpu").code == 0

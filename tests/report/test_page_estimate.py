"""The seconds that are left, by who is at work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from runner.report.page.estimate import estimated
from runner.report.page.plan import StageStanding
from runner.store.watched import WatchedAttempt, Worker
from runner.store.watched_stages import WatchedStage


def worker(stage: str, pid: int) -> Worker:
    return Worker(stage, "host", pid, "cpu", 0.0, True)


@pytest.mark.parametrize(("pids", "workers", "seconds"), [((7, 7), 1, 20.0), ((7, 8), 2, 10.0)])
def test_a_process_that_trains_several_together_is_one_worker(
    pids: tuple[int, int], workers: int, seconds: float
) -> None:
    """Two trainings have five of ten epochs left, each of two seconds."""
    stages = {key: WatchedStage(key, "train", (), "c", 1, 10, "") for key in "ab"}
    standings = {
        key: StageStanding("running", 5, worker=worker(key, pid))
        for key, pid in zip(stages, pids, strict=True)
    }
    attempts = {
        key: [WatchedAttempt(1, key, "running", "cpu", 0.0, None, {}, 5, "")] for key in stages
    }
    structure = cast(Any, SimpleNamespace(stages=stages))
    found = estimated({"c": 2.0}, structure, standings, attempts)
    assert (found["workers"], found["seconds"]) == (workers, seconds)

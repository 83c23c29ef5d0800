"""Several workers on one machine: one program, no stage twice, the same bytes as by one process."""

import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from forks import OUTPUT, Forks, KillAt
from grids import Left, ask, left_in, write_grid, write_photos
from together_specs import RATES
from waiting import wait_for

from runner.bind.request import Request
from runner.bind.slots import slots
from runner.core.errors import UsageError
from runner.execute.pool_slots import lowered

GRID = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6]}
train: {epochs: 4, batch_size: 8, schedule: {name: step, step_size: 2, gamma: 0.5}}
sweep:
  grid: {lr: [0.01, 0.02, 0.03, 0.04, 0.05], step_size: [2, 3], epochs: [4, 5]}
"""
LONG = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6]}
train: {epochs: 150, batch_size: 8}
sweep:
  grid: {lr: [0.01, 0.02, 0.03]}
"""
DEADLY = '''\
import multiprocessing
import os
import signal
import time

import torch


class Deadly(torch.nn.Module):
    """A loss that kills the worker that computes it, or takes its time."""

    def __init__(self, kills: bool = False):
        super().__init__()
        self.kills = kills

    def forward(self, logits, labels):
        if multiprocessing.parent_process() is not None:
            if self.kills:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.05)
        return torch.nn.functional.cross_entropy(logits, labels)
'''
ONE_KILLS = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [4]}
train: {epochs: 40, batch_size: 8, loss: {name: "deadly.py:Deadly"}}
sweep:
  grid: {train.loss.kills: [true, false]}
"""
AT_WORK = "SELECT pid, stage_key FROM claims JOIN stages USING (stage_key) WHERE kind = 'train'"
ATTEMPTS = "SELECT number, status FROM attempts"
TRAININGS = f"{ATTEMPTS} JOIN stages USING (stage_key) WHERE kind = 'train'"
OOM = '''\
import fcntl
import time

import torch


class Hungry(torch.nn.Module):
    """A loss that needs all of a device's memory for a moment."""

    def forward(self, logits, labels):
        with open("memory.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise torch.OutOfMemoryError("no memory is left") from None
            time.sleep(0.2)
            return torch.nn.functional.cross_entropy(logits, labels)
'''


def test_workers_are_spread_over_the_devices_that_are_named() -> None:
    two = Request("a.yaml", device="cuda:0,cuda:1")
    assert (two.executor_name, slots(two)) == ("workers", ("cuda:0", "cuda:1"))
    three = Request("a.yaml", device="cuda:0,cuda:1", workers=3)
    assert slots(three) == ("cuda:0", "cuda:1", "cuda:0")
    assert Request("a.yaml", workers=1).executor_name == "local"
    assert slots(Request("a.yaml", device="cpu", workers=2)) == ("cpu", "cpu")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"device": "cuda:0,cuda:0"}, "device cuda:0,cuda:0 names one twice"),
        ({"device": "cpu,cuda:0"}, "device cpu,cuda:0 names several kinds"),
        ({"workers": -1}, "there are -1 workers"),
        ({"workers": 2, "executor": "process"}, "the executor 'process' is one process"),
    ],
)
def test_workers_that_cannot_be_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        Request("a.yaml", **options)
    assert refused.value.found == problem


@pytest.mark.parametrize(("most", "busy", "fewer"), [(None, 4, 3), (3, 3, 2), (1, 4, 1), (1, 2, 1)])
def test_workers_on_a_device_never_become_more_for_lack_of_memory(
    most: int | None, busy: int, fewer: int
) -> None:
    assert lowered(most, busy) == fewer


def one_process(forks: Forks, folder: Path, text: str, *words: str) -> Left:
    folder.mkdir()
    spec = write_grid(folder, text)
    assert forks.run(folder, ["run", str(spec), "--threads", "1", *words]) == 0
    return left_in(folder)


def start(forks: Forks, folder: Path, text: str, workers: int, *words: str) -> int:
    spec = write_grid(folder, text)
    chosen = ["--workers", str(workers), "--threads", "1", *words]
    return forks.start(folder, ["run", str(spec), *chosen])


def training(folder: Path) -> dict[int, str]:
    try:
        return dict(ask(folder, AT_WORK))
    except sqlite3.Error:  # no database, or no tables yet
        return {}


def held(folder: Path) -> list[int]:
    """Return the process of each training that is claimed."""
    try:
        return [pid for pid, _ in ask(folder, AT_WORK)]
    except sqlite3.Error:
        return []


@pytest.mark.slow
def test_workers_do_no_stage_twice_and_leave_what_one_process_leaves(
    forks: Forks, tmp_path: Path
) -> None:
    alone = one_process(forks, tmp_path / "alone", GRID)
    pid = start(forks, tmp_path, GRID, 4)
    assert forks.wait(pid) == 0, (tmp_path / OUTPUT).read_text()
    assert set(ask(tmp_path, ATTEMPTS)) == {(1, "done")}
    assert left_in(tmp_path) == alone
    said = (tmp_path / OUTPUT).read_text()
    ended = [line.partition(" ")[0] for line in said.splitlines() if line.startswith("[")]
    assert ended == [f"[{number}/{len(ended)}]" for number in range(1, len(ended) + 1)], said
    assert "sharing the work" not in said


@pytest.mark.slow
def test_killed_worker_is_replaced_and_its_stage_taken_over(forks: Forks, tmp_path: Path) -> None:
    alone = one_process(forks, tmp_path / "alone", LONG)
    pid = start(forks, tmp_path, LONG, 2, "--checkpoint-seconds", "0")
    both = wait_for(lambda: len(found := training(tmp_path)) == 2 and found)
    os.kill(min(both), signal.SIGKILL)
    assert forks.wait(pid) == 0, (tmp_path / OUTPUT).read_text()
    assert sorted(status for _, status in ask(tmp_path, ATTEMPTS)).count("lost") == 1
    left = left_in(tmp_path)
    assert (left.dump, left.files, left.litter) == (alone.dump, alone.files, ())
    assert "another takes its place" in (tmp_path / OUTPUT).read_text()


@pytest.mark.slow
def test_stage_that_kills_each_worker_fails_and_the_grid_goes_on(
    forks: Forks, tmp_path: Path
) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    pid = start(forks, tmp_path, ONE_KILLS, 2, "--code", "deadly.py")
    code = forks.wait(pid)
    said = (tmp_path / OUTPUT).read_text()
    assert code == 1, said
    assert sorted(ask(tmp_path, "SELECT status FROM results")) == [("done",), ("failed",)], said
    trainings = ask(tmp_path, TRAININGS)
    assert sorted(trainings) == [(1, "done"), (1, "lost"), (2, "failed")], said
    assert said.count("another takes its place") == 2, said


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_trainings_with_which_a_worker_died_are_done_one_by_one(
    workers: int, forks: Forks, tmp_path: Path
) -> None:
    """Also by a worker that waits for them beside the one that dies."""
    together = RATES.replace("epochs: 4", "epochs: 100")
    alone = one_process(forks, tmp_path / "alone", together)
    pid = start(forks, tmp_path, together, workers, "--executor", "workers")
    died = wait_for(lambda: len(found := held(tmp_path)) == 3 and found)[0]
    os.kill(died, signal.SIGKILL)
    wait_for(lambda: bool(set(held(tmp_path)) - {died}))
    most = 0
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        at_work = Counter(each for each in held(tmp_path) if each != died)
        most = max([most, *at_work.values()])
    assert forks.wait(pid) == 0, (tmp_path / OUTPUT).read_text()
    assert most == 1
    assert left_in(tmp_path).dump == alone.dump


@pytest.mark.slow
def test_stage_that_fails_is_tried_by_one_of_all_workers(forks: Forks, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    broken = sorted((tmp_path / "photos").rglob("*.png"))[0]
    broken.write_bytes(broken.read_bytes()[:60])
    for tried in (1, 2):
        words = ["--retry-failed"] if tried == 2 else []
        assert forks.wait(start(forks, tmp_path, GRID, 4, *words)) == 1
        assert ask(tmp_path, ATTEMPTS) == [(number + 1, "failed") for number in range(tried)]


@pytest.mark.slow
def test_workers_that_are_stopped_go_on_to_the_same_end(forks: Forks, tmp_path: Path) -> None:
    alone = one_process(forks, tmp_path / "alone", LONG)
    for number in (signal.SIGINT, signal.SIGTERM):
        pid = start(forks, tmp_path, LONG, 2)
        at_work = wait_for(lambda: training(tmp_path))
        for process in {pid, *at_work} if number == signal.SIGTERM else {pid}:
            os.kill(process, number)  # a scheduler asks all processes of a job to end
        assert forks.wait(pid) == 130, (tmp_path / OUTPUT).read_text()
        assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
    assert forks.wait(start(forks, tmp_path, LONG, 2)) == 0
    left = left_in(tmp_path)
    assert (left.dump, left.files, left.litter) == (alone.dump, alone.files, ())
    assert "Traceback" not in (tmp_path / OUTPUT).read_text()


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(forks: Forks, tmp_path: Path) -> None:
    pid = start(forks, tmp_path, LONG, 2)
    wait_for(lambda: len(training(tmp_path)) == 2)
    os.kill(pid, signal.SIGKILL)
    assert forks.wait(pid) == -signal.SIGKILL
    wait_for(lambda: ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)])


@pytest.mark.slow
def test_worker_that_wakes_after_its_lease_cannot_write(forks: Forks, tmp_path: Path) -> None:
    alone = one_process(forks, tmp_path / "alone", LONG, "--only", "lr=0.01")
    words = ["run", "grid.yaml", "--threads", "1", "--only", "lr=0.01"]
    write_photos(tmp_path / "photos")
    write_grid(tmp_path, LONG)
    stopped = forks.start(tmp_path, words, KillAt("epoch begins", 5, signal.SIGSTOP))
    wait_for(lambda: stopped in training(tmp_path))
    wait_for(lambda: psutil.Process(stopped).status() == psutil.STATUS_STOPPED)
    with sqlite3.connect(tmp_path / "results.db") as raw:
        raw.execute("UPDATE claims SET lease_until = 0, lease_monotonic = 0")
    assert forks.run(tmp_path, ["worker", "--threads", "1"]) == 0, (tmp_path / OUTPUT).read_text()
    done = left_in(tmp_path)
    os.kill(stopped, signal.SIGCONT)
    assert forks.wait(stopped) == 0, (tmp_path / OUTPUT).read_text()
    assert "was taken over by another process" in (tmp_path / OUTPUT).read_text()
    assert [status for _, status in ask(tmp_path, ATTEMPTS)].count("lost") == 1
    assert done.dump == left_in(tmp_path).dump == alone.dump


@pytest.mark.slow
def test_too_little_memory_lowers_the_workers_and_fails_nothing(
    forks: Forks, tmp_path: Path
) -> None:
    (tmp_path / "hungry.py").write_text(OOM)
    # long enough for the second worker to begin before the first has done all
    text = LONG.replace("epochs: 150", 'epochs: 5, loss: {name: "hungry.py:Hungry", version: 1}')
    text = text.replace("[0.01, 0.02, 0.03]", "[0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08]")
    pid = start(forks, tmp_path, text, 2, "--code", "hungry.py")
    said = (tmp_path / OUTPUT).read_text
    assert forks.wait(pid) == 0, said()
    assert ask(tmp_path, "SELECT DISTINCT status FROM results") == [("done",)], said()
    statuses = [status for _, status in ask(tmp_path, ATTEMPTS)]
    assert "failed" not in statuses
    assert "interrupted" in statuses
    assert "2 workers do not fit on cpu: such a stage is done by 1 worker at a time" in said()

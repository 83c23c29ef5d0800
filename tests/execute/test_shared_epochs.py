"""Two processes with other specs on one database: epochs that both want are trained once."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask, left_in, write_photos
from waiting import wait_for

HEAD = """\
name: %s
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6]}
train: {batch_size: 8, optimizer: adam}
sweep:
  rows: [%s]
"""
ROW = "{lr: %s, epochs: %d}"
STOP = KillAt("epoch begins", 3, signal.SIGSTOP)


def write_specs(folder: Path) -> None:
    write_photos(folder / "photos")
    two = ((0.01, 4), (0.02, 7))
    three = ((0.02, 4), (0.01, 7), (0.03, 7))
    for name, rows in (("two", two), ("three", three)):
        text = HEAD % (name, ", ".join(ROW % row for row in rows))
        (folder / f"{name}.yaml").write_text(text)


def start_stopped(forks: Forks, folder: Path, words: list[str]) -> int:
    pid = forks.start(folder, words, STOP)
    stopped = psutil.Process(pid)
    wait_for(lambda: stopped.status() == psutil.STATUS_STOPPED)
    return pid


@pytest.mark.slow
def test_epochs_that_another_spec_trains_now_are_gone_on_from(forks: Forks, tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    write_specs(together)
    write_specs(alone)
    first = start_stopped(forks, together, ["run", "two.yaml"])
    second = forks.start(together, ["run", "three.yaml"])
    done = "SELECT 1 WHERE (SELECT count(*) FROM results) = 2"
    wait_for(lambda: bool(ask(together, done)))  # all that has nothing to do with the first
    assert ask(together, "SELECT pid FROM claims") == [(first,)]
    os.kill(first, signal.SIGCONT)
    said = (together / OUTPUT).read_text
    assert [forks.wait(first), forks.wait(second)] == [0, 0], said()
    assert ask(together, "SELECT count(*) FROM steps") == [(3 * 7,)], said()
    for name in ("two", "three"):
        assert forks.run(alone, ["run", f"{name}.yaml", "--no-share"]) == 0
    assert left_in(together).dump == left_in(alone).dump


@pytest.mark.slow
def test_runs_that_another_selection_does_now_are_done_once(forks: Forks, tmp_path: Path) -> None:
    write_specs(tmp_path)
    first = start_stopped(forks, tmp_path, ["run", "three.yaml", "--only", "lr=0.01"])
    second = forks.start(tmp_path, ["run", "three.yaml"])
    done = "SELECT 1 WHERE (SELECT count(*) FROM results) = 2"
    wait_for(lambda: bool(ask(tmp_path, done)))
    os.kill(first, signal.SIGCONT)
    said = (tmp_path / OUTPUT).read_text
    assert [forks.wait(first), forks.wait(second)] == [0, 0], said()
    assert ask(tmp_path, "SELECT count(*) FROM steps") == [(4 + 2 * 7,)], said()


@pytest.mark.slow
def test_runs_computed_by_themselves_wait_for_no_other(forks: Forks, tmp_path: Path) -> None:
    write_specs(tmp_path)
    first = start_stopped(forks, tmp_path, ["run", "two.yaml", "--no-share"])
    assert forks.run(tmp_path, ["run", "three.yaml", "--no-share"]) == 0
    os.kill(first, signal.SIGCONT)
    assert forks.wait(first) == 0
    assert ask(tmp_path, "SELECT count(*) FROM steps") == [(2 * 4 + 3 * 7,)]

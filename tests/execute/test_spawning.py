"""Children of a run: no signal, and no death of one of them, holds up the others."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from grids import write_grid

from runner.api.running import run
from runner.execute.spawning import Flag

GRID = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6]}
train: {epochs: 1, batch_size: 8}
sweep:
  grid: {lr: [0.01, 0.02]}
"""
BY_CHILDREN = pytest.mark.parametrize("options", [{"workers": 2}, {"executor": "process"}])


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

"""Processes to kill, and the grid that nothing disturbed."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import logit_runs
import pytest
from analysed_grids import SPEC, do
from forks import Forks
from grids import Undisturbed, left_in, write_grid

from runner.bind.request import RAY
from runner.execute import EXECUTORS

HERE = [name for name in EXECUTORS if name != RAY]
"""Those that need no cluster: see test_ray.py."""
EVERY = [pytest.param(name, marks=() if name == "local" else pytest.mark.slow) for name in HERE]


@pytest.fixture(params=EVERY)
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let `run` use each executor in turn where it is told none."""
    monkeypatch.setitem(EXECUTORS, "local", EXECUTORS[request.param])
    return str(request.param)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    server = Forks()
    yield server
    server.close()


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the spec of a grid of four trainings on image files."""
    return write_grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="session")
def undisturbed(forks: Forks, grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert forks.run(folder, ["run", str(grid)]) == 0
    return Undisturbed(left_in(folder))


@pytest.fixture(scope="session")
def seconds(
    forks: Forks, grid: Path, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory
) -> float:
    """Return how long the grid takes, when it is not the first."""
    folder = tmp_path_factory.mktemp("timed")
    started = time.monotonic()
    assert forks.run(folder, ["run", str(grid)]) == 0
    return time.monotonic() - started


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished grid, of which no analysis was asked."""
    folder = tmp_path_factory.mktemp("finished")
    do(folder, SPEC)
    return folder


@pytest.fixture
def before(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder with the finished grid."""
    shutil.copytree(finished, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tested_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished run that no test changes."""
    folder = tmp_path_factory.mktemp("tested")
    logit_runs.do(folder, logit_runs.SPEC)
    return folder


@pytest.fixture
def tested(tested_run: Path, tmp_path: Path) -> Path:
    """Return a folder with a finished run of a spec that asked for nothing more."""
    shutil.copytree(tested_run, tmp_path / "home")
    return tmp_path / "home"

"""Processes to kill, and the grid that nothing disturbed."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from forks import Forks
from grids import Undisturbed, left_in, write_grid


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
    forks.run(tmp_path_factory.mktemp("warm"), ["run", str(grid)])
    folder = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    assert forks.run(folder, ["run", str(grid)]) == 0
    return Undisturbed(left_in(folder), time.monotonic() - started)

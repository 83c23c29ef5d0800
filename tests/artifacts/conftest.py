"""Machines with a `.runner/` each that share a folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from shared_stores import machine

from runner.artifacts.folder import Artifacts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder that they share."""
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.fixture
def new_machine(tmp_path: Path, root: Path) -> Callable[[str], Artifacts]:
    """Return what makes a machine."""
    return lambda name: machine(tmp_path / name / ".runner", root)


@pytest.fixture
def here(new_machine: Callable[[str], Artifacts]) -> Artifacts:
    return new_machine("here")


@pytest.fixture
def there(new_machine: Callable[[str], Artifacts]) -> Artifacts:
    return new_machine("there")

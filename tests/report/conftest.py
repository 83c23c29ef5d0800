"""An empty database for each test: a copy of one that was migrated once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.store.database import Database, open_database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "results.db"
    open_database(path).close()
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "results.db"
    shutil.copy(empty_database, path)
    opened = open_database(path)
    yield opened
    opened.close()

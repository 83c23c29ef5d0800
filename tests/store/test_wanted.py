"""What is wanted is asked for again where the connection breaks in the middle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from runner.core.errors import StoreUnreachable
from runner.store.database import Database, open_database
from runner.store.wanted import wanted_runs, wanted_version


@pytest.mark.parametrize("asked", [wanted_runs, wanted_version])
def test_a_connection_that_breaks_is_no_end(
    asked: Callable[[Database], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Database.read
    broken: list[StoreUnreachable] = []

    @contextmanager
    def breaks_once(database: Database) -> Iterator[sa.Connection]:
        if not broken:
            broken.append(StoreUnreachable("a server", "it is gone"))
            raise broken[0]
        with read(database) as connection:
            yield connection

    with open_database(tmp_path / "results.db") as database:
        whole = asked(database)
        monkeypatch.setattr("runner.store.wanted.open_reruns", lambda database: {})
        monkeypatch.setattr(Database, "read", breaks_once)
        assert asked(database) == whole
    assert broken

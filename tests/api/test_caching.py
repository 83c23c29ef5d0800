"""Clearing `.runner/` beside other databases, which others may be closing meanwhile."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runner import api
from runner.artifacts.folder import Artifacts, folder_beside
from runner.core.errors import StoreBusy
from runner.store.database import open_database


def states_beside(folder: Path) -> dict[str, Path]:
    """Make two databases; return where each has a state."""
    made = {}
    for name in ("mine.db", "other.db"):
        with open_database(folder / name) as database:
            made[name] = Artifacts(folder_beside(folder), database.identity()).path("states/s-1")
        made[name].mkdir(parents=True)
        (made[name] / "checkpoint.json").write_text("{}")
    return made


def test_a_log_of_another_database_may_vanish_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = states_beside(tmp_path)
    log = tmp_path / "other.db-journal"
    log.write_text("")
    stat = os.stat

    def is_gone_after_a_look(path: str | Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        if str(path) == str(log):
            log.unlink()
        return found

    monkeypatch.setattr(os, "stat", is_gone_after_a_look)
    api.clear_cache(["states"], db=tmp_path / "mine.db")
    assert [kept[name].is_dir() for name in ("mine.db", "other.db")] == [False, True]
    assert not log.exists()


@pytest.mark.slow(6)
def test_nothing_is_removed_while_a_database_is_locked_whose_states_are_not_known(
    tmp_path: Path,
) -> None:
    kept = states_beside(tmp_path)
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy, match=r"other\.db: database is locked"):
            api.clear_cache(["states"], db=tmp_path / "mine.db")
    assert all(each.is_dir() for each in kept.values())

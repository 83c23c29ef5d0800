"""Clearing `.runner/` beside other databases, which others may be closing meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner import api
from runner.artifacts.folder import Artifacts, folder_beside
from runner.store.database import open_database


def test_a_log_of_another_database_may_vanish_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {}
    for name in ("mine.db", "other.db"):
        with open_database(tmp_path / name) as database:
            kept[name] = Artifacts(folder_beside(tmp_path), database.identity()).path("states/s-1")
        kept[name].mkdir(parents=True)
        (kept[name] / "checkpoint.json").write_text("{}")
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

"""What stays of features and states under a limit."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from runner.artifacts.cache import Cache


def state(folder: Path, database: str, name: str, used: float) -> Path:
    home = folder / "states" / database / name
    home.mkdir(parents=True)
    (home / "checkpoint.json").write_bytes(b"{" * 100)
    os.utime(home / "checkpoint.json", (used, used))
    return home


def test_cache_keeps_a_needed_state_of_one_database(tmp_path: Path) -> None:
    mine, other = (state(tmp_path, each, "same", used=1.0) for each in ("mine", "other"))
    recent = state(tmp_path, "mine", "recent", used=2.0)
    cache = Cache(tmp_path, 250, [mine])
    assert cache.make_room(tmp_path / "states" / "mine" / "new", 50)
    assert [each.exists() for each in (mine, other, recent)] == [True, False, True]


def test_cache_removes_what_no_stage_needs_any_more_over_the_limit(tmp_path: Path) -> None:
    needed = state(tmp_path, "mine", "branch", used=1.0)
    cache = Cache(tmp_path, 50, [needed, needed])
    assert not cache.make_room(needed, 100)
    cache.release([needed])
    assert needed.exists()
    cache.release([needed])
    assert not needed.exists()


def changed(folder: Path, name: str, used: float) -> Path:
    home = folder / "changed" / name
    home.mkdir(parents=True)
    (home / "index.json").write_bytes(b"{" * 100)
    os.utime(home / "index.json", (used, used))
    return home


def test_cache_removes_changed_images_before_older_states(tmp_path: Path) -> None:
    old, new = (changed(tmp_path, name, used) for name, used in (("old", 2.0), ("new", 3.0)))
    oldest = state(tmp_path, "mine", "oldest", used=1.0)
    assert Cache(tmp_path, 300).make_room(tmp_path / "features" / "f", 100)
    assert [each.exists() for each in (oldest, old, new)] == [True, False, True]
    assert Cache(tmp_path, 300).make_room(tmp_path / "features" / "f", 200)
    assert [each.exists() for each in (oldest, new)] == [True, False]


def test_cache_removes_only_unused_changed_images_for_changed_images(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 300)
    kept = state(tmp_path, "mine", "kept", used=1.0)
    old = changed(tmp_path, "old", used=2.0)
    in_use = changed(tmp_path, "in use", used=time.time() + 60)
    assert cache.make_room(tmp_path / "changed" / "new", 100)
    assert [each.exists() for each in (kept, old, in_use)] == [True, False, True]
    assert not cache.make_room(tmp_path / "changed" / "more", 101)
    assert [each.exists() for each in (kept, in_use)] == [True, True]


def test_cache_removes_nothing_where_all_that_may_go_is_not_enough(tmp_path: Path) -> None:
    needed, free = (state(tmp_path, "mine", name, used=1.0) for name in ("needed", "free"))
    images = changed(tmp_path, "old", used=2.0)
    cache = Cache(tmp_path, 350, [needed])
    assert not cache.make_room(tmp_path / "states" / "mine" / "new", 251)
    assert [each.exists() for each in (needed, free, images)] == [True, True, True]
    assert cache.make_room(tmp_path / "states" / "mine" / "new", 50), "nothing else was counted"


def test_cache_removes_nothing_for_what_is_larger_than_the_limit(tmp_path: Path) -> None:
    kept = state(tmp_path, "mine", "kept", used=1.0)
    assert not Cache(tmp_path, 150).make_room(tmp_path / "states" / "mine" / "new", 151)
    assert kept.exists()


def test_cache_counts_once_what_is_written_again(tmp_path: Path) -> None:
    kept, again = (state(tmp_path, "mine", name, used=1.0) for name in ("kept", "again"))
    assert Cache(tmp_path, 220).make_room(again, 110)
    assert kept.exists()


def test_cache_passes_over_what_another_process_removes_while_it_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = (state(tmp_path, "mine", each, used=1.0) for each in ("kept", "gone"))
    scandir = os.scandir

    def removed_before(path: Any = ".") -> Any:
        if str(path) == str(gone):
            shutil.rmtree(gone)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed_before)
    assert Cache(tmp_path, 150).make_room(tmp_path / "states" / "mine" / "new", 50)
    assert [each.exists() for each in (kept, gone)] == [True, False]

"""What stays of features and states under a limit."""

import os
from pathlib import Path

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


def test_cache_removes_changed_images_that_were_used_longest_ago(tmp_path: Path) -> None:
    old, new = (tmp_path / "changed" / name for name in ("old", "new"))
    for used, home in ((1.0, old), (3.0, new)):
        home.mkdir(parents=True)
        (home / "index.json").write_bytes(b"{" * 100)
        os.utime(home / "index.json", (used, used))
    between = state(tmp_path, "mine", "between", used=2.0)
    assert Cache(tmp_path, 300).make_room(tmp_path / "features" / "f", 100)
    assert [each.exists() for each in (old, between, new)] == [False, True, True]


def test_cache_removes_nothing_for_what_is_larger_than_the_limit(tmp_path: Path) -> None:
    kept = state(tmp_path, "mine", "kept", used=1.0)
    assert not Cache(tmp_path, 150).make_room(tmp_path / "states" / "mine" / "new", 151)
    assert kept.exists()


def test_cache_counts_once_what_is_written_again(tmp_path: Path) -> None:
    kept, again = (state(tmp_path, "mine", name, used=1.0) for name in ("kept", "again"))
    assert Cache(tmp_path, 220).make_room(again, 110)
    assert kept.exists()

"""Small files that remember: what they hold, and that losing them is no error."""

import json
from pathlib import Path

import pytest

from runner.artifacts.memory import LayoutCache, recall, remember


def test_memory_is_recalled(tmp_path: Path) -> None:
    path = tmp_path / "made" / "layouts.json"
    assert remember(path, 3, {"known": {"key": [1, 2]}})
    assert recall(path, 3) == {"format": 3, "known": {"key": [1, 2]}}
    assert json.loads(path.read_text()) == {"format": 3, "known": {"key": [1, 2]}}
    assert [each.name for each in path.parent.iterdir()] == ["layouts.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": 2}', '{"known": {}}', "\0"])
def test_memory_that_is_damaged_or_of_another_format_counts_as_nothing(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "layouts.json"
    path.write_text(text)
    assert recall(path, 3) == {}


def test_memory_in_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    assert not remember(tmp_path / "a file" / "layouts.json", 3, {})


def test_layout_cache_finds_nothing_out_twice(tmp_path: Path) -> None:
    path = tmp_path / "layouts.json"
    assert LayoutCache(path).recall("key", lambda: [1, 2]) == [1, 2]
    again = LayoutCache(path)
    assert again.recall("key", lambda: pytest.fail("found out again")) == [1, 2]
    assert again.get("other") is None


def test_layout_cache_of_no_mapping_counts_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "layouts.json"
    path.write_text(json.dumps({"format": LayoutCache.FORMAT, "known": [1]}))
    assert LayoutCache(path).get("key") is None

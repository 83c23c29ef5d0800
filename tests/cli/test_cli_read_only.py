"""Commands that read, in a folder that nobody can write."""

import shutil
from pathlib import Path

import pytest
from commands import Call
from read_only import locked

FIXTURE = Path(__file__).parents[1] / "store" / "fixtures" / "schema_0001.db"
READING = (
    ["report", "--table", "tiny"],
    ["report", "tiny.yaml"],
    ["list"],
    ["show", "tiny:0:1"],
    ["diff", "tiny:0:0", "tiny:1:0"],
    ["plan", "tiny.yaml"],
    ["plot", "tiny.yaml", "--out", "tiny.svg"],
    ["cache", "list"],
    ["db", "info"],
    ["db", "check"],
    ["db", "dump"],
    ["db", "dump", "--canonical"],
)


@pytest.fixture
def shelf(finished: Path, tmp_path: Path) -> Path:
    """A folder with the finished database, to be locked; the spec is in the current one."""
    shutil.copy(finished / "tiny.yaml", tmp_path)
    (tmp_path / "shelf").mkdir()
    shutil.copytree(finished / ".runner", tmp_path / "shelf" / ".runner")
    return Path(shutil.copy(finished / "results.db", tmp_path / "shelf")).parent


@pytest.mark.slow
def test_every_command_that_reads_prints_what_it_prints_elsewhere(shelf: Path, call: Call) -> None:
    db = ["--db", "shelf/results.db"]
    with locked(shelf):
        found = [call(*words, *db) for words in READING]
        refused = call("run", "tiny.yaml", *db)
    assert [(each.code, each.err) for each in found] == [(0, "")] * len(READING)
    assert sorted(each.name for each in shelf.iterdir()) == [".runner", "results.db"]
    expected = [call(*words, *db) for words in READING]
    for words, each, other in zip(READING, found, expected, strict=True):
        assert each.out == other.out, words
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: shelf/results.db cannot be written: it or its folder is read-only\n"
        "    hint: name a database of your own with --db\n"
    )


@pytest.mark.slow
def test_older_database_is_read_there_too(shelf: Path, call: Call) -> None:
    shutil.copy(FIXTURE, shelf / "results.db")
    before = FIXTURE.read_bytes()
    with locked(shelf):
        listed = call("list", "--db", "shelf/results.db")
        checked = call("db", "check", "--db", "shelf/results.db")
    assert (listed.code, checked.code) == (0, 0)
    assert "done" in listed.out
    assert (shelf / "results.db").read_bytes() == before

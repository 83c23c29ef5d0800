"""Bits that flip in a database: what is printed is what was recorded, or nothing, and why."""

import random
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands import Call, Called

SEED = 20250317
READING = (
    ["report", "--table", "tiny", "--format", "csv"],
    ["list", "--format", "csv"],
    ["show", "tiny:1:0", "--format", "json"],
)


@pytest.fixture(scope="module")
def whole(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the content of the finished grid's database, without a log beside it."""
    path = tmp_path_factory.mktemp("whole") / "results.db"
    shutil.copy(finished / "results.db", path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
        raw.execute("VACUUM")
    return path.read_bytes()


@pytest.fixture
def right(whole: bytes, call: Call) -> list[Called]:
    """Return what the commands print of the undamaged database."""
    Path("results.db").write_bytes(whole)
    right = [call(*words) for words in READING]
    assert [each.code for each in right] == [0, 0, 0]
    return right


def flipped(content: bytes, draw: random.Random, bits: int) -> bytes:
    damaged = bytearray(content)
    for _ in range(bits):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def write_database(content: bytes) -> None:
    for left in Path().glob("results.db*"):
        left.unlink()
    Path("results.db").write_bytes(content)


def assert_right_or_refused(found: Called, expected: Called, which: str) -> None:
    if found.code == 0:
        assert found.out == expected.out, which
        return
    assert (found.code, found.out) == (2, ""), (which, found)
    assert re.match(r"error: (results\.db|the database) ", found.err), (which, found)
    assert "Traceback" not in found.err, which


@pytest.mark.slow
@pytest.mark.parametrize(
    "trials",
    [
        pytest.param(range(12), id="few"),
        pytest.param(range(12, 200), id="many", marks=pytest.mark.slow),
    ],
)
def test_flipped_bits_are_harmless_or_an_error(
    trials: range, whole: bytes, right: list[Called], call: Call
) -> None:
    refused = 0
    for trial in trials:
        draw = random.Random(SEED + trial)
        write_database(flipped(whole, draw, 1 + trial % 3))
        for words, expected in zip(READING, right, strict=True):
            found = call(*words)
            assert_right_or_refused(found, expected, f"trial {trial}: {words[0]}")
            refused += found.code != 0
    assert refused


def change(statement: str) -> None:
    with closing(sqlite3.connect("results.db")) as raw:
        assert raw.execute(statement).rowcount > 0
        raw.commit()


@pytest.mark.slow
def test_check_prints_what_it_held_against_what(tiny: Path, call: Call) -> None:
    found = call("db", "check")
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        "structure     1 checked",
        "schema        1 checked",
        "experiments   1 checked",
        "runs          4 checked",
        "results       4 checked",
        "attempts      9 checked",
        "environments  1 checked",
    ]
    change("UPDATE metrics SET value = value + 0.25 WHERE split = 'val'")
    change("UPDATE results SET checksum = NULL WHERE run_key LIKE '%0%' AND rerun = 1 OR rowid = 1")
    found = call("db", "check")
    assert found.code == 2
    assert "results       3 checked, 1 without a checksum, not checked, 3 DAMAGED\n" in found.out
    named = r"  the result of run \w{12} \(tiny:1:0\) is not what was recorded in val_loss, val_acc"
    assert re.search(named, found.out)
    assert found.err == "take a copy from before, or do the runs again on another database (--db)\n"


@pytest.mark.slow
def test_table_names_the_damaged_result_that_it_would_show(tiny: Path, call: Call) -> None:
    before = call("report", "--table", "tiny").out
    change("UPDATE metrics SET value = value / 2 WHERE split = 'train'")
    assert call("report", "--table", "tiny").out == before
    change("UPDATE evaluations SET value = value / 2 WHERE name = 'accuracy'")
    for words in (["report", "--table", "tiny"], ["list"], ["run", "tiny.yaml"]):
        found = call(*words)
        assert (found.code, found.out) == (2, "")
        named = r"error: results\.db is damaged: the result of run \w{12} \(tiny:\d:\d\) is not"
        assert re.search(f"{named} what was recorded in test_accuracy@ends\n", found.err), found.err


@pytest.mark.slow
def test_run_done_once_more_is_shown_in_the_place_of_a_damaged_one(tiny: Path, call: Call) -> None:
    which = "run_key = (SELECT run_key FROM cells WHERE position = 1 AND seed = 0)"
    change(f"UPDATE results SET best_epoch = 3 - best_epoch WHERE {which}")
    assert call("report", "--table", "tiny").code == 2
    again = ["run", "tiny.yaml", "--rerun", "--only", "lr=0.1", "--only", "seed=0"]
    assert call(*again).code == 0
    assert call("report", "--table", "tiny").code == 0
    assert "(tiny:1:0) is not what" in call("db", "check").out


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("sqlite://", "is a database in memory: all results would be lost"),
        ("nonsense://x", "results are kept in SQLite files or by PostgreSQL only"),
        (".", "it is a folder"),
    ],
)
def test_file_that_is_no_database_is_refused_before_anything_is_done(
    fresh: Path, call: Call, where: str, message: str
) -> None:
    for words in (["run", "tiny.yaml"], ["plan", "tiny.yaml"], ["list"], ["cache", "list"]):
        if (where, words[0]) == (".", "cache"):
            continue
        refused = call(*words, "--db", where)
        assert (refused.code, refused.out) == (2, ""), words
        assert message in refused.err
    assert [each.name for each in fresh.iterdir()] == ["tiny.yaml"]


@pytest.mark.slow
def test_results_are_where_a_url_says(fresh: Path, call: Call) -> None:
    words = ["--db", "sqlite:///deep/r.db", "--threads", "1"]
    assert call("run", "tiny.yaml", "--only", "slow", *words).code == 0
    assert sorted(each.name for each in Path("deep").iterdir()) == [".runner", "r.db"]
    assert call("list", "--db", "deep/r.db").out.count("done") == 2

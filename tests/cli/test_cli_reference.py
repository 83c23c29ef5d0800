"""`--reference` reads the results that ship; only `run --use-reference` counts them as done."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands import TINY, Call
from recorded import seal_again

from runner.store import merge, reference, sqlite
from runner.store.database import open_database

READING = [
    ["report"],
    ["report", "--table", "tiny", "--format", "csv"],
    ["report", "tiny.yaml"],
    ["list", "--format", "json"],
    ["show", "tiny:1:0"],
    ["diff", "tiny:0:0", "tiny:1:0"],
]


@pytest.fixture
def shipped(finished: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> Path:
    """A reference made of the finished grid, in the place of the one that ships."""
    path = tmp_path_factory.mktemp("reference") / "results.db"
    shutil.copy(finished / "results.db", path)
    database = open_database(path)
    with database.write() as connection:
        for statement in (
            "UPDATE environments SET content = json_set(content, '$.python', '3.99.1')",
            "UPDATE results SET device = 'Some GPU', recorded = 86400.0 * 365",
            "UPDATE attempts SET started = started - 1e6",
        ):
            connection.exec_driver_sql(statement)
        seal_again(connection)
    database.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
    path.chmod(0o444)
    monkeypatch.setattr(reference, "REFERENCE_FILE", path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("words", READING)
def test_reading_the_reference_needs_no_database_and_makes_none(
    shipped: Path, fresh: Path, finished: Path, call: Call, words: list[str]
) -> None:
    read = call(*words, "--reference")
    assert (read.code, read.err) == (0, "")
    assert sorted(each.name for each in fresh.iterdir()) == ["tiny.yaml"]
    assert [each.name for each in shipped.parent.iterdir()] == ["results.db"]
    if words[0] == "report":
        shutil.copy(finished / "results.db", fresh)
        assert read.out == call(*words).out


@pytest.mark.slow
@pytest.mark.parametrize("words", READING)
def test_reference_and_db_contradict_each_other_but_not_its_variable(
    shipped: Path, fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    refused = call(*words, "--reference", "--db", "mine.db")
    assert (refused.code, refused.out) == (2, "")
    assert (
        refused.err
        == "error: --reference and --db name two databases\n    hint: give one of them\n"
    )
    monkeypatch.setenv("RUNNER_DB", "mine.db")
    assert call(*words, "--reference").code == 0


def test_show_gives_the_command_without_a_database(shipped: Path, fresh: Path, call: Call) -> None:
    shown = call("show", "tiny:0:0", "--reference").out
    assert re.search(r"^again     runner run tiny\.yaml --rerun .*--only seed=0$", shown, re.M)


def test_reference_is_not_written_even_when_its_file_is_named(
    shipped: Path, fresh: Path, call: Call
) -> None:
    before = shipped.read_bytes()
    assert call("list", "--db", shipped).code == 0
    refused = call("run", "tiny.yaml", "--db", shipped)
    assert (refused.code, refused.out) == (2, "")
    assert "is read-only\n    hint: name a database of your own with --db" in refused.err
    assert shipped.read_bytes() == before
    assert [each.name for each in shipped.parent.iterdir()] == ["results.db"]


def test_reference_that_is_missing_is_an_error(
    fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "REFERENCE_FILE", fresh / "nowhere.db")
    for words in (["report", "--reference"], ["run", "tiny.yaml", "--use-reference"]):
        refused = call(*words)
        assert (refused.code, refused.out) == (2, "")
        assert "this installation has no reference results: no file" in refused.err


@pytest.mark.slow
def test_run_does_not_look_at_the_reference_unless_told(
    shipped: Path, fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise AssertionError("looked at")

    for module in ("reference", "merge"):
        monkeypatch.setattr(f"runner.store.{module}.open_reference", refuse)
    assert "runs      4: 0 done, 4 to do" in call("plan", "tiny.yaml").out
    ran = call("run", "tiny.yaml", "--only", "slow")
    assert ran.code == 0
    assert "2 runs: 2 done; " in ran.err


@pytest.mark.slow
def test_a_lock_is_told_while_results_wait_to_be_taken(
    shipped: Path, fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(merge, "PAUSE", 0.0)
    monkeypatch.setattr(merge, "TRIES", 2)
    with open_database("results.db") as database, database.write():
        ran = call("run", "tiny.yaml", "--use-reference")
    said = "another process keeps the database locked (database is locked)"
    assert (ran.code, ran.err.count(said)) == (1, 2)
    assert f"results.db: {said}; trying again\n" in ran.err


@pytest.mark.slow
def test_results_are_taken_when_asked_for_and_keep_their_origin(
    shipped: Path, fresh: Path, call: Call
) -> None:
    ran = call("run", "tiny.yaml", "--use-reference")
    assert ran.code == 0
    first, last = ran.err.splitlines()
    assert first == "4 results taken from the reference, measured on Some GPU, 1971-01-01"
    assert last.startswith("4 runs: 4 done (4 of them from the reference); ")
    assert ran.out.strip() == call("report", "--table", "tiny", "--reference").out.strip()
    shown = call("show", "tiny:1:0").out
    assert "seconds   " in shown
    assert " on Some GPU\n" in shown
    assert shown.count(": attempt 1 from the reference, ") == 3
    assert shown.count("python 3.99.1") == 3
    records = [
        json.loads(call("show", "tiny:1:0", *words, "--format", "json").out)
        for words in ([], ["--reference"])
    ]
    assert records[0]["epochs"] == records[1]["epochs"]
    assert records[0]["result"] == records[1]["result"]
    again = call("run", "tiny.yaml", "--use-reference").err.splitlines()
    assert again[0] == "no result taken from the reference: it has none that the database lacks"
    assert again[-1].startswith("4 runs: 4 done (4 of them before); ")


@pytest.mark.slow
def test_reference_gives_wanted_results_and_others_are_done_here(
    shipped: Path, fresh: Path, call: Call
) -> None:
    ran = call("run", "tiny.yaml", "--use-reference", "--only", "slow", "--only", "seed=0")
    assert ran.err.splitlines()[0].startswith("1 result taken from the reference, ")
    ran = call("run", "tiny.yaml", "--device", "cpu")
    assert "4 runs: 4 done (1 of them before); " in ran.err
    dumps = [
        call("db", "dump", "--canonical", *words).out for words in ([], ["--db", str(shipped)])
    ]
    assert dumps[0] == dumps[1]


@pytest.mark.slow
def test_plan_shows_what_run_would_take_and_takes_nothing(
    shipped: Path, fresh: Path, call: Call
) -> None:
    planned = call("plan", "tiny.yaml", "--use-reference").out
    assert "runs      4: 4 done (4 of them in the reference), 0 to do\n" in planned
    assert "epochs    0 to do of 8, at most\n" in planned
    assert not Path("results.db").exists()
    call("run", "tiny.yaml", "--only", "slow")
    planned = json.loads(call("plan", "tiny.yaml", "--use-reference", "--format", "json").out)
    assert (planned["done"], planned["taken"], planned["to_do"]) == (4, 2, 0)
    assert "4: 0 done, 4 to do" in call("plan", "tiny.yaml", "--use-reference", "--rerun").out
    assert "4: 2 done, 2 to do" in call("plan", "tiny.yaml").out


@pytest.mark.slow
@pytest.mark.parametrize("change", [("images: 60", "images: 64"), ("lr: 0.01", "lr: 0.02")])
def test_runs_of_other_data_or_settings_are_others(
    shipped: Path, fresh: Path, call: Call, change: tuple[str, str]
) -> None:
    Path("tiny.yaml").write_text(TINY.replace(*change))
    words = ["tiny.yaml", "--use-reference", "--only", "seed=0", "--only", "slow"]
    ran = call("run", *words)
    assert ran.err.startswith("no result taken from the reference")
    assert "1 run: 1 done; " in ran.err


@pytest.mark.slow
def test_further_repetition_is_done_here(shipped: Path, fresh: Path, call: Call) -> None:
    words = ["--only", "slow", "--only", "seed=0"]
    ran = call("run", "tiny.yaml", "--use-reference", "--rerun", *words)
    assert ran.err.splitlines()[0].startswith("1 result taken from the reference, ")
    shown = call("show", "tiny:0:0").out
    assert "rerun     1\n" in shown
    assert "train" in shown
    assert re.search(r"train \w+ of rerun 1: attempt 1 done, ", shown)

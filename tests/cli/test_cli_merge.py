"""`runner db merge` on the command line: stopped, kept waiting, and gone on with."""

import os
import signal
from pathlib import Path

import pytest
from commands import Call
from histories import record_outcome, record_versions
from planted import at_moment
from recorded import do_run, want

from runner.store import merge, sqlite
from runner.store.database import open_database

COPIED = "a batch of results copied"
THE_REST = "copy.db: 2 results of 3 and 1 experiment copied from source.db\n"


@pytest.fixture(autouse=True)
def _source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record three results in source.db; they are copied one, then two at a time."""
    monkeypatch.setattr(merge, "FIRST_BATCH", 1)
    with open_database(tmp_path / "source.db") as source:
        want(source, ["r1", "r2", "r3", "open"])
        for key in ("r1", "r2", "r3"):
            do_run(source, key)


@pytest.mark.slow
def test_ctrl_c_ends_a_merge_after_a_batch_and_the_same_command_goes_on(call: Call) -> None:
    words = ["db", "merge", "source.db", "--db", "copy.db"]
    with at_moment(COPIED, lambda: os.kill(os.getpid(), signal.SIGINT)):
        stopped = call(*words)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-2:] == [
        "stopped after 1 of 3 results copied",
        "    hint: the same command goes on; what was copied is there to stay",
    ]
    again = call(*words)
    assert (again.code, again.out, again.err) == (0, THE_REST, "")
    assert "unfinished" in call("list", "--db", "copy.db").out


@pytest.mark.slow
def test_a_locked_database_is_told_while_it_is_waited_for(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(merge, "PAUSE", 0.0)
    monkeypatch.setattr(merge, "TRIES", 2)
    with open_database("copy.db") as another:
        lock = another.write()
        with at_moment(COPIED, lock.__enter__):
            locked = call("db", "merge", "source.db", "--db", "copy.db")
        lock.__exit__(None, None, None)
    said = "another process keeps the database locked (database is locked)"
    assert (locked.code, locked.out) == (1, "")
    assert locked.err.splitlines() == [
        f"note: copy.db: {said}; trying again",
        f"error: {said}",
        "    hint: run the same command again",
    ]
    assert call("db", "merge", "source.db", "--db", "copy.db").out == THE_REST


def test_earlier_versions_and_outcomes_of_verify_are_counted_where_there_are_any(
    call: Call, tmp_path: Path
) -> None:
    with open_database(tmp_path / "source.db") as source:
        record_outcome(source, "e.yaml")
        record_versions(source, [["r1", "r2"], ["r1"]])
    words = ["db", "merge", "source.db", "--db", "copy.db"]
    copied = "3 results of 3, 1 experiment, 1 earlier version and 1 verification copied"
    assert call(*words).out == f"copy.db: {copied} from source.db\n"
    nothing = "0 results of 3 and 0 experiments copied"
    assert call(*words).out == f"copy.db: {nothing} from source.db\n"

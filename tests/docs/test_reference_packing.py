"""The reference is packed without what tells of a machine's owner, and with every number."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import reference as tool
from recorded import chain_of, do_run, seal_again, take, want

from runner.store.catalogue import record_environment
from runner.store.database import Database, open_database
from runner.store.dump import run_dump
from runner.store.recorder import end_attempt
from runner.store.reference import REFERENCE_FILE
from runner.store.results import record_result
from runner.store.verifications import record_verification

MACHINE = {
    "versions": {"runner": "1"},
    "python": "3.11.7",
    "platform": "Linux-6.18.44-of-someone-x86_64-with-glibc2.36",
    "processor": "Some CPU",
    "commit": "abc",
    "code": "def",
    "modules": {"models_of_someone.net": "0123456789abcdef"},
}


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as work leaves it: done, failed and open runs, and things half done."""

    def environment(database: Database, content: dict[str, object]) -> int:
        return record_environment(database, MACHINE)

    path = "/home/someone/work/experiments/e.yaml"
    database = open_database(tmp_path_factory.mktemp("worked") / "results.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recorded.record_environment", environment)
        want(database, ["r1", "r2", "r3", "r4"], path)
        do_run(database, "r1", split_at=2)
        end_attempt(database, take(database, "train-r2-0"), "interrupted", 1.0)
        do_run(database, "r2")
        want(database, ["r1", "r2", "r3", "r4"], path, rerun=1)
        do_run(database, "r2", rerun=1)
        end_attempt(database, take(database, chain_of("r3")[1].key), "failed", 1.0, error="why")
        record_result(database, "r3", 0)
        take(database, chain_of("r4")[1].key)
    record_verification(database, path, (), True, (), MACHINE)
    database.close()
    return Path(str(database.address))


@pytest.fixture
def source(worked: Path, tmp_path: Path) -> Iterator[Database]:
    """A copy of that database."""
    database = open_database(shutil.copy(worked, tmp_path))
    yield database
    database.close()


def packed(database: Database, tmp_path: Path) -> Database:
    target = tmp_path / "ships" / "results.db"
    words = tool.pack(Path(str(database.address)), target)
    assert words.startswith(f"{target}: ")
    assert [each.name for each in target.parent.iterdir()] == ["results.db"]
    return open_database(target, read_only=True)


def column(database: Database, query: str) -> list[object]:
    with database.read() as connection:
        return [row[0] for row in connection.exec_driver_sql(query)]


@pytest.mark.slow
def test_the_newest_results_are_kept_whole(source: Database, tmp_path: Path) -> None:
    found = packed(source, tmp_path)
    assert list(run_dump(found, "r1")) == list(run_dump(source, "r1"))
    assert column(found, "SELECT run_key || rerun FROM results ORDER BY 1") == ["r10", "r21"]
    assert column(found, "SELECT run_key FROM cells ORDER BY 1") == ["r1", "r2", "r3", "r4"]
    found.close()


def test_what_no_result_rests_on_is_left_out(source: Database, tmp_path: Path) -> None:
    found = packed(source, tmp_path)
    assert set(column(found, "SELECT stage_key FROM attempts")) == {
        *(f"{kind}-r1-0" for kind in ("train", "evaluate")),
        *(f"{kind}-r2-1" for kind in ("train", "evaluate")),
        "prepare",
    }
    statuses = column(found, "SELECT status FROM attempts WHERE stage_key = 'train-r1-0'")
    assert statuses == ["interrupted", "done"]
    assert set(column(found, "SELECT stage_key FROM run_stages WHERE rerun = 0")) == {
        "prepare",
        "train-r1-0",
        "evaluate-r1-0",
    }
    for table in ("claims", "verifications"):
        assert column(found, f"SELECT count(*) FROM {table}") == [0]
    known = set(column(found, "SELECT id FROM attempts"))
    for table in ("steps", "metrics", "evaluations"):
        assert set(column(found, f"SELECT attempt_id FROM {table}")) <= known
    found.close()


def test_the_machines_owner_is_left_out(source: Database, tmp_path: Path) -> None:
    found = packed(source, tmp_path)
    assert column(found, "SELECT path FROM experiments") == ["experiments/e.yaml"]
    assert column(found, "SELECT json_extract(content, '$.platform') FROM environments") == [
        "Linux-x86_64-with-glibc2.36"
    ]
    assert column(found, "SELECT json_extract(content, '$.commit') FROM environments") == [""]
    found.close()
    content = (tmp_path / "ships" / "results.db").read_bytes()
    for word in (b"someone", b"/home", b"6.18.44"):
        assert word not in content


@pytest.mark.slow
def test_packing_leaves_the_source_as_it_is(source: Database, tmp_path: Path) -> None:
    before = list(run_dump(source, "r2"))
    claims = column(source, "SELECT count(*) FROM claims")
    packed(source, tmp_path).close()
    assert list(run_dump(source, "r2")) == before
    assert column(source, "SELECT count(*) FROM claims") == claims == [1]


@pytest.mark.slow
def test_packing_what_is_packed_changes_nothing(source: Database, tmp_path: Path) -> None:
    packed(source, tmp_path).close()
    target = tmp_path / "ships" / "results.db"

    def dump() -> list[str]:
        with closing(sqlite3.connect(target)) as raw:
            return list(raw.iterdump())

    before = dump()
    tool.pack(target, target)
    assert dump() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE attempts SET error = 'no such file: /data/of/someone.png'",
            "attempts.error: /data/of/someone.png",
        ),
        (
            "UPDATE runs SET settings = json_set(settings, '$.data.path', '/srv/photos/')",
            "runs.settings: /srv/photos/",
        ),
        (
            "UPDATE experiments SET source = 'path: C:\\Users\\x'",
            "experiments.source: C:\\Users",
        ),
        (
            "UPDATE environments SET content = json_set(content, '$.x', 'on my-own-box')",
            "environments.content: my-own-box",
        ),
    ],
)
def test_anything_private_that_is_left_stops_it(
    source: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, told: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "my-own-box")
    with source.write() as connection:
        connection.exec_driver_sql(statement)
        seal_again(connection)
    with pytest.raises(SystemExit) as stopped:
        packed(source, tmp_path)
    assert told in str(stopped.value)
    assert not (tmp_path / "ships" / "results.db").exists()


@pytest.mark.parametrize(
    "text", ["CNN 128/128/128/256", "https://example.org/a/b/c", "pyramid 16/32/64", "a/b.c"]
)
def test_what_only_looks_like_a_path_does_not(text: str) -> None:
    assert tool.ABSOLUTE.findall(text) == []


@pytest.mark.slow
def test_the_reference_that_ships_tells_nothing() -> None:
    database = open_database(REFERENCE_FILE, read_only=True)
    with database.read() as connection:
        assert list(tool.private_texts(connection)) == []
    paths = column(database, "SELECT path FROM experiments")
    assert [path for path in paths if not str(path).startswith("experiments/")] == []
    database.close()


def test_packing_nothing_tells_how(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert tool.main(["pack", str(tmp_path / "nowhere.db")]) == 2
    assert "python tools/reference.py pack DATABASE" in capsys.readouterr().err

"""trackio's own reader and page find what was recorded, once, and nothing is sent."""

import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exported import DONE, SPEC, draw_report, record
from made_up import MadeUp, record_made_up
from trackio_python import find_trackio, use_trackio

from runner import api
from runner.api import exporting_records
from runner.core.errors import UsageError
from runner.report.trackers.trackio_projects import TrackioTracker
from runner.store.database import open_database

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HERE = sys.executable
TOLD = """read line; printf '%s\\n' '{"error": "ValueError: no\\nmore"}'"""
READ = """
import json, trackio
from trackio.sqlite_storage import SQLiteStorage
print(json.dumps({
    project: {
        run.name: {
            "id": run.id,
            "config": run.config,
            "logs": SQLiteStorage.get_logs(project, run.name, run_id=run.id),
        }
        for run in trackio.Api().runs(project)
    }
    for project in SQLiteStorage.get_projects()
}))
"""
WATCH = """
import os, socket
log = os.environ["CONNECTED"]
open(log + ".watched", "a").close()
def connect(self, address):
    open(log, "a").write(repr(address))
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = connect
"""

Read = Callable[..., Any]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = find_trackio(tmp_path_factory.mktemp("trackio") / "venv")
    if found is None:
        pytest.skip("trackio is not installed, and cannot be")
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str) -> Iterator[Path]:
    """Where projects go, from a process that would send them if it could."""
    use_trackio(python, monkeypatch)
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/experiments")
    monkeypatch.setenv("TRACKIO_BUCKET_ID", "somebody/bucket")
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9/?write_token=x")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HF_TOKEN", "hf_" + "0" * 30)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("CONNECTED", str(tmp_path / "connected"))
    yield tmp_path / "projects"
    assert (tmp_path / "connected.watched").exists()
    assert not (tmp_path / "connected").exists()
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def read(place: Path, python: str) -> Read:
    """Return trackio's reader: projects, each with its runs by name."""

    def reader(folder: Path = place) -> Any:
        environment = {"PATH": os.environ["PATH"], "TRACKIO_DIR": str(folder)}
        command = [python, "-c", READ]
        return json.loads(subprocess.check_output(command, env=environment, text=True))

    return reader


def values(run: Any, name: str) -> list[tuple[int, float]]:
    return [(row["step"], row[name]) for row in run["logs"] if name in row]


def test_trackio_reads_series_results_settings_tables_and_pictures(
    tmp_path: Path, place: Path, read: Read
) -> None:
    db, report = record(tmp_path), draw_report(tmp_path)
    exported = api.export_records("trackio", place=place, db=db, figures=report)
    assert exported.look == f"TRACKIO_DIR={place} trackio show"
    assert exported.counts() == {"done": 1, "diverged": 1, "failed": 1, "unfinished": 1}
    (found,) = read().values()
    assert found.keys() == {"slow, =1 seed=0", "fast seed=0", "fast seed=1", "tables", "figures"}
    run = found["slow, =1 seed=0"]
    assert values(run, "val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    assert values(run, "test_accuracy") == [(2, 0.7)]
    losses = [loss for part in DONE.steps for loss in part]
    assert values(run, "step_train_loss") == list(enumerate(losses, start=1))
    assert values(run, "result/test_accuracy") == [(0, 0.7)]
    seconds = [row["timestamp"][14:19] for row in run["logs"] if "val_accuracy" in row]
    minutes = [60 * int(each[:2]) + int(each[3:]) for each in seconds]
    assert [(each - minutes[0]) % 3600 for each in minutes] == pytest.approx([0, 10, 20], abs=1)
    last = values(found["fast seed=0"], "step_train_loss")[-1]
    assert last[0] == 3
    assert math.isnan(last[1])
    config = {key: run["config"][key] for key in ("train.optimizer.lr", "cell", "_Group")}
    assert config == {"train.optimizer.lr": 0.01, "cell": "grid:0:0", "_Group": "slow, =1"}
    ended = {
        name: (run["config"]["status"], run["config"]["message"])
        for name, run in found.items()
        if name.endswith(("0", "1"))
    }
    assert ended == {
        "slow, =1 seed=0": ("done", ""),
        "fast seed=0": ("diverged", "it diverged"),
        "fast seed=1": ("failed", "it failed"),
    }
    (row,) = found["tables"]["logs"]
    assert row["tables/grid"]["_type"] == "trackio.table"
    assert [(each["WHICH"], each["ACC"]) for each in row["tables/grid"]["_value"]] == [
        ("slow, =1", 0.75),
        ("fast", None),
    ]
    (row,) = found["figures"]["logs"]
    assert row["figures/curves"]["_type"] == "trackio.image"
    copy = place / "media" / row["figures/curves"]["file_path"]
    assert copy.read_bytes() == (report / "figures" / "curves.png").read_bytes()


def test_only_what_is_new_is_added(
    tmp_path: Path, place: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a run trains: first one epoch without a result, then all, then nothing."""
    db, report = record(tmp_path), draw_report(tmp_path)
    real, standing = exporting_records.run_history, exporting_records.standing

    def one_epoch(database: Any, key: str) -> Any:
        there = real(database, key)
        return replace(there, epochs=there.epochs[:1], result={}, status="running")

    with monkeypatch.context() as patch:
        patch.setattr(exporting_records, "run_history", one_epoch)
        patch.setattr(
            exporting_records, "standing", lambda database: replace(standing(database), ended={})
        )
        first = api.export_records("trackio", "grid:0:0", place=place, db=db)
    assert first.counts() == {"unfinished": 1}
    (early,) = read()["grid"].values()
    assert early["config"]["status"] == "running"
    assert values(early, "step_train_loss") == [(1, 1.0), (2, 0.8)]
    api.export_records("trackio", "grid:0:0", place=place, db=db)
    (run,) = read()["grid"].values()
    assert run["id"] == early["id"]
    assert run["config"]["status"] == "done"
    assert [row for row in run["logs"] if row in early["logs"]] == early["logs"]
    assert values(run, "val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    assert [step for step, _ in values(run, "step_train_loss")] == [1, 2, 3, 4, 5, 6]
    api.export_records("trackio", place=place, db=db, figures=report)
    before = read()
    api.export_records("trackio", place=place, db=db, figures=report)
    assert read() == before
    report = draw_report(tmp_path, color="blue")
    api.export_records("trackio", place=place, db=db, figures=report)
    after = read()
    steps = [step for step, _ in values(after["grid"].pop("figures"), "figures/curves")]
    assert steps == [0, 1]
    del before["grid"]["figures"]
    assert after == before


def test_what_was_tried_again_is_written_anew_and_deleted_runs_once_more(
    tmp_path: Path, place: Path, read: Read
) -> None:
    api.export_records("trackio", place=place, db=record(tmp_path))
    (tmp_path / "again").mkdir()
    again = record(tmp_path / "again", lambda cell: DONE)
    api.export_records("trackio", "grid:1:1", place=place, db=again)
    found = read()["grid"]
    assert found["fast seed=1"]["config"]["status"] == "done"
    assert values(found["fast seed=1"], "val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    assert found["fast seed=0"]["config"]["status"] == "diverged"
    (place / "grid.db").unlink()
    api.export_records("trackio", "grid:1:1", place=place, db=again)
    assert read()["grid"] == {"fast seed=1": found["fast seed=1"]}


def test_experiments_of_like_names_have_projects_of_their_own(
    tmp_path: Path, place: Path, read: Read
) -> None:
    """Names of trackio's files have few letters, and some are its own."""
    db = record(tmp_path)
    specs = ("a.b", "a-b", "registry-x", "x_configs")
    with open_database(db) as database:
        for name in specs:
            text = SPEC.replace("grid", name, 1)
            record_made_up(database, tmp_path, text, lambda cell: MadeUp({"val_accuracy": [0.25]}))
    for names in ("a.b", ()):
        api.export_records("trackio", names, place=place, db=db)
    found = {
        project: {run["config"].get("experiment") for run in runs.values()} - {None}
        for project, runs in read().items()
    }
    assert found == {
        "a-b": {"a.b"},
        "runner-a-b-2": {"a-b"},
        "grid": {"grid"},
        "runner-registry-x-2": {"registry-x"},
        "runner-x_configs-2": {"x_configs"},
    }


def test_another_run_of_the_same_name_has_its_key_behind(
    tmp_path: Path, place: Path, read: Read
) -> None:
    db = record(tmp_path)
    api.export_records("trackio", "grid:0:0", place=place, db=db)
    with open_database(db) as database:
        text = SPEC.replace("hidden: [4]", "hidden: [5]")
        record_made_up(database, tmp_path, text, lambda cell: MadeUp({"val_accuracy": [0.125]}))
    api.export_records("trackio", "grid:0:0", place=place, db=db)
    first, other = read()["grid"]
    assert first == "slow, =1 seed=0"
    assert re.fullmatch(r"slow, =1 seed=0 [0-9a-f]{8}", other)


def test_one_process_serves_an_export_that_follows(
    tmp_path: Path, place: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.report.trackers.trackio_process import TrackioProcess

    monkeypatch.setattr(exporting_records, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(exporting_records, "TICK_SECONDS", 0.01)
    started, start = list[Any](), TrackioProcess._started
    monkeypatch.setattr(
        TrackioProcess,
        "_started",
        lambda process: started.append(start(process)) or started[-1],
    )
    db = record(tmp_path)

    def progress(done: int, total: int) -> None:
        if done == total and (place / "grid.db").exists():
            record(tmp_path, lambda cell: DONE)

    api.export_records("trackio", place=place, db=db, follow=True, on_progress=progress)
    assert [process.returncode for process in started] == [0]
    assert {"slow, =1 seed=0", "slow, =1 seed=1"} <= read()["grid"].keys()


def test_killed_export_is_completed_by_the_next(
    tmp_path: Path, place: Path, read: Read, python: str
) -> None:
    db = record(tmp_path, lambda cell: DONE)
    api.export_records("trackio", place=tmp_path / "whole", db=db)
    code = f"""
import sys
from runner import api
from runner.report.trackers import kinds
sys.executable, kinds.find_spec = {python!r}, str
api.export_records("trackio", place={str(place)!r}, db={str(db)!r})
"""
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{ROOT}"}
    for count in (1, 2):
        export = subprocess.Popen([HERE, "-c", code], env=environment)
        while export.poll() is None and runs_in(place / "grid.db") < count:
            time.sleep(0.001)
        assert export.poll() in (None, 0)
        export.kill()
        export.wait()
    api.export_records("trackio", place=place, db=db)
    whole, found = read(tmp_path / "whole")["grid"], read()["grid"]
    assert [step for step, _ in values(found.pop("tables"), "tables/grid")] == [0]
    del whole["tables"]  # the moment differs
    assert found == whole


def runs_in(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(DISTINCT run_id) FROM metrics").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_trackio_serves_the_folder(tmp_path: Path, place: Path, python: str) -> None:
    exported = api.export_records("trackio", place=place, db=record(tmp_path))
    assignment, *command = exported.look.split()
    environment = {
        "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        "TRACKIO_DIR": assignment.removeprefix("TRACKIO_DIR="),
        "BROWSER": "true",  # the command, which does nothing
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())
            assert address is not None
            with urllib.request.urlopen(address[0], timeout=20) as page:
                assert b"Trackio" in page.read()
            question = urllib.request.Request(
                f"{address[0]}api/get_runs_for_project",
                data=json.dumps({"args": [], "kwargs": {"project": "grid"}}).encode(),
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(question, timeout=20) as answer:
                names = [each["name"] for each in json.load(answer)["data"]]
        finally:
            server.kill()
    assert sorted(names) == ["fast seed=0", "fast seed=1", "slow, =1 seed=0", "tables"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo 'ImportError: broken' >&2; exit 1", "ImportError: broken"),
        ("exit 3", "its process ended with 3"),
        (TOLD, "ValueError: no"),
        ("printf '{'; exit 4", "its process ended with 4"),
    ],
)
def test_what_trackio_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    from runner.report.trackers.trackio_process import TrackioProcess

    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with closing(TrackioProcess(tmp_path)) as process, pytest.raises(UsageError) as refused:
        process.ask("find_project", experiment="grid")
    assert str(refused.value) == f"trackio in {tmp_path}: {said}"


@pytest.mark.parametrize("content", ["ours", "none"])
def test_folder_with_other_databases_is_refused(tmp_path: Path, content: str) -> None:
    """`trackio show` would make projects of them, and write into them."""
    other = record(tmp_path)
    if content == "none":
        other.write_bytes(b"no database")
    before = other.read_bytes()
    with pytest.raises(UsageError, match=r"results\.db is no project of trackio, which would take"):
        TrackioTracker(str(tmp_path))
    assert other.read_bytes() == before

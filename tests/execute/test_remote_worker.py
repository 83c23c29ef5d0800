"""A worker that is told plain values does what it is asked; the database shows how far it is."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from forks import Forks, KillAt
from grids import GRID, ask, left_in, write_grid
from shared_specs import Log
from together_specs import RATES
from waiting import wait_for

from runner.api.running import run
from runner.artifacts.process import Process, this_process
from runner.core.errors import RunnerError, UsageError
from runner.core.stages import Stage
from runner.execute import EXECUTORS
from runner.execute.database_news import DatabaseNews
from runner.execute.plan_execution import PlanExecution
from runner.execute.ray_nodes import Share
from runner.execute.remote_worker import RemoteWorker, asked_of_worker, raise_answer

pytestmark = pytest.mark.slow

SMALL = GRID.replace("epochs: 7", "epochs: 3").replace("dropout: [0.0, 0.3]", "dropout: [0.0]")
Executor = Callable[[PlanExecution], bool]


class Watching(Log):
    """Also remembers which epochs are told."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []
        self.runs: list[str] = []

    def on_stage_progress(self, stage: Stage, progress: Any) -> None:
        self.epochs.append(progress.epoch)

    def on_run_end(self, run_key: str, status: str) -> None:
        self.runs.append(status)


def by(executor: Executor, spec: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Watching:
    """Run a spec by an executor; return what its listener hears."""
    log = Watching()
    how: dict[str, Any] = {"threads": 1, "executor": "workers", **options}
    with monkeypatch.context() as patch:
        patch.setitem(EXECUTORS, "workers", executor)
        run([spec], db=spec.parent / "results.db", listen=lambda _: log, **how)
    return log


def remotely(execution: PlanExecution) -> bool:
    """Carry a plan out by a remote worker in a thread, watched in the database."""
    asked = asked_of_worker(execution, (), Share(1, 0))
    asked = json_of(asked)  # plain values
    news, answers = DatabaseNews(execution), list[Mapping[str, Any]]()
    worker = threading.Thread(target=lambda: answers.append(RemoteWorker().work(asked)))
    worker.start()
    while worker.is_alive():
        news.look()
        worker.join(0.02)
    assert answers == [{}]
    return news.settle()


def json_of(values: Any) -> Any:
    return json.loads(json.dumps(values))


@pytest.mark.slow
def test_it_leaves_what_one_process_leaves_and_the_database_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alone", "remote"):
        (tmp_path / name).mkdir()
        write_grid(tmp_path / name, SMALL)
    run([tmp_path / "alone" / "grid.yaml"], db=tmp_path / "alone" / "results.db", threads=1)
    spec = tmp_path / "remote" / "grid.yaml"
    log = by(remotely, spec, monkeypatch)
    assert left_in(tmp_path / "remote").dump == left_in(tmp_path / "alone").dump
    assert sorted(set(log.began)) == ["evaluate", "prepare", "train"]
    assert log.ended == ["done"] * 5
    assert log.runs == ["done"] * 2
    assert set(log.epochs) <= {2, 3}

    # only what is asked for, though more is wanted
    spec.write_text(SMALL.replace("dropout: [0.0]", "dropout: [0.1, 0.2]"))
    by(remotely, spec, monkeypatch, only=["dropout=0.1"])
    done = "SELECT count(*) FROM results"
    assert ask(spec.parent, done) == [(4,)]
    # and a repetition is done once more
    by(remotely, spec, monkeypatch, only=["dropout=0.1"], rerun=True)
    assert ask(spec.parent, done + " WHERE rerun = 1") == [(2,)]


def test_what_fails_again_is_tried_once_by_each_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path, SMALL)
    (tmp_path / "photos" / "class_0" / "05.png").write_bytes(b"no image")
    plans = 0

    def counted(execution: PlanExecution) -> bool:
        nonlocal plans
        plans += 1
        assert plans < 5, "it is planned again and again"
        return remotely(execution) if execution.plan.stages else True

    for tried in (1, 2):
        plans = 0
        by(counted, spec, monkeypatch, retry_failed=tried == 2)
        failed = [(number + 1, "failed") for number in range(tried)]
        assert ask(tmp_path, "SELECT number, status FROM attempts") == failed
    assert ask(tmp_path, "SELECT DISTINCT status FROM results") == [("failed",)]


def asked_of(spec: Path, monkeypatch: pytest.MonkeyPatch, mark: str = "") -> dict[str, Any]:
    """Return what a worker is asked to do for a spec."""
    asked: dict[str, Any] = {}

    def execute(execution: PlanExecution) -> bool:
        asked.update(asked_of_worker(execution, (), Share(1, 0), mark))
        return True

    by(execute, spec, monkeypatch)
    return asked


def test_another_version_or_another_folder_is_an_error_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = asked_of(write_grid(tmp_path, SMALL), monkeypatch, str(tmp_path / ".runner" / "mark"))
    answer = RemoteWorker().work({**asked, "version": "0.0.1"})
    with pytest.raises(UsageError, match="install the same version on every node"):
        raise_answer(answer)
    with pytest.raises(UsageError, match="share artifacts with --artifacts"):
        raise_answer(RemoteWorker().work(asked))
    assert ask(tmp_path, "SELECT count(*) FROM attempts") == [(0,)]
    with pytest.raises(RunnerError, match="of a later version"):
        raise_answer({"kind": "NotYet", "message": "an error of a later version", "parts": {}})


@pytest.mark.slow
@pytest.mark.parametrize("is_ours", [True, False])
def test_trainings_that_a_worker_of_the_command_died_with_are_done_one_by_one(
    is_ours: bool, forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path, RATES)
    forks.run(tmp_path, ["run", str(spec), "--threads", "1"], KillAt("epoch begins", 5))
    asked = asked_of(spec, monkeypatch)
    since = 0 if is_ours else asked["since"]
    assert ask(tmp_path, "SELECT max(id) FROM attempts") == [(asked["since"],)]
    assert RemoteWorker().work({**asked, "since": since}) == {}
    query = "SELECT started, started + seconds FROM attempts JOIN stages USING (stage_key)"
    rows = ask(tmp_path, f"{query} WHERE kind = 'train' AND status = 'done' ORDER BY started")
    assert len(rows) == 3
    one_by_one = [after[0] >= before[1] - 0.02 for before, after in pairwise(rows)]
    assert one_by_one == [is_ours] * 2, rows


def test_it_stops_when_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of(write_grid(tmp_path, SMALL), monkeypatch)
    worker = RemoteWorker()
    worker.stop()
    answer = worker.work(asked)
    assert answer["kind"] == "Interrupted"
    raise_answer(answer)  # no error


def test_it_says_which_process_it_is() -> None:
    worker = RemoteWorker()
    assert Process(**json_of(worker.who())) == this_process()
    assert worker.who()["pid"] == os.getpid()


def test_notes_wait_until_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.execute.remote_worker.LISTEN_SECONDS", 0.01)
    worker = RemoteWorker()
    assert worker.notes() == []
    worker._listen(None).on_note("first")  # type: ignore[arg-type]
    worker._listen(None).on_note("second")  # type: ignore[arg-type]
    wait_for(lambda: worker.notes() == ["first", "second"])


def test_what_no_worker_does_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(execution: PlanExecution) -> bool:
        return DatabaseNews(execution).settle()

    with pytest.raises(RunnerError, match="no worker could do what is left"):
        by(nobody, write_grid(tmp_path, SMALL), monkeypatch)
    assert ask(tmp_path, "SELECT count(*) FROM attempts") == [(0,)]

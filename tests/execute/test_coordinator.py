"""One process's way through a plan that others have gone, at least in part."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from grids import write_grid

import runner.execute.coordinator as coordinator
from runner.api.running import run
from runner.bind.request import Request
from runner.core.stages import Stage
from runner.execute import EXECUTORS
from runner.execute.coordinator import Coordinator
from runner.execute.listener import NullListener
from runner.execute.local import execute_locally
from runner.execute.plan_execution import PlanExecution, StageTask
from runner.execute.stage_worker import Ended
from runner.store.database import Database, open_database
from runner.store.progress import latest_results


class Nobody:
    """A worker that has nothing to do."""

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        raise AssertionError(f"asked for {[task.stage.key for task in tasks]}")

    def release(self, artifacts: Sequence[str]) -> None:
        """Nothing is held."""

    def finish(self) -> None:
        """Nothing is on its way to the disk."""


class Heard(NullListener):
    """Remembers what has ended."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.runs: dict[str, str] = {}

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        self.stages.append(stage.key)

    def on_run_end(self, run_key: str, status: str) -> None:
        self.runs[run_key] = status


@pytest.fixture
def executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[PlanExecution, Database]]:
    """Yield a plan that has been done since it was made, and its database."""
    handed: list[PlanExecution] = []

    def take(execution: PlanExecution) -> bool:
        handed.append(execution)
        return execute_locally(execution)

    monkeypatch.setitem(EXECUTORS, "local", take)
    run(Request([write_grid(tmp_path)], db=tmp_path / "results.db", threads=1))
    with open_database(tmp_path / "results.db") as database:
        yield replace(handed[0], database=database), database


def test_what_has_ended_since_the_plan_was_made_is_learnt_at_once(
    executed: tuple[PlanExecution, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not stage by stage: of thousands, that would take longer than the work."""
    execution, database = executed
    runs = list(execution.plan.stages_by_run)
    results = latest_results(database, runs)
    looked: list[str] = []
    monkeypatch.setattr(coordinator, "look_at_stage", lambda _, key, *__, **___: looked.append(key))
    ended = Heard()
    assert Coordinator(replace(execution, listener=ended), Nobody()).go()
    assert looked == []
    assert ended.runs == {run: status for run, (status, _) in results.items()}
    assert len(ended.stages) == len(execution.plan.stages) > 4
    assert latest_results(database, runs) == results

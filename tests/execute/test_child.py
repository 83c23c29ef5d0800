"""A child that does the stages is told to stop also while its parent waits for what it writes."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from waiting import PATIENCE

from runner.core.errors import Interrupted
from runner.execute import child
from runner.execute.child import ChildWorker
from runner.execute.plan_execution import PlanExecution
from runner.execute.spawning import Flag


def writing(told: Path, pipe: Any, stop: Flag, parent: int) -> None:
    """Stand in for a child whose shared place hangs: it waits for that until it is to stop."""
    pipe.recv()
    pipe.send(child._Finished())
    pipe.recv()
    deadline = time.monotonic() + PATIENCE
    while not stop.is_set() and time.monotonic() < deadline:
        time.sleep(0.01)
    told.write_text("stopped" if stop.is_set() else "waited in vain")
    pipe.send(child._Finished())


def finish(worker: ChildWorker) -> None:
    with worker:
        worker.do([], lambda stage, answer: None)
        worker.finish()


def is_interrupted(worker: ChildWorker) -> None:
    with worker:
        worker.do([], lambda stage, answer: None)
        raise Interrupted("between two stages")


@pytest.mark.slow
@pytest.mark.parametrize("end", [finish, is_interrupted])
def test_a_child_that_waits_is_told_to_stop(
    end: Callable[[ChildWorker], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_serve", writing)
    told, asked = tmp_path / "told", list[bool]()

    def should_stop() -> bool:
        asked.append(end is finish)
        return len(asked) > 50 and asked[-1]  # later than it has begun to wait

    execution = SimpleNamespace(setup=told, database=None, listener=None, should_stop=should_stop)
    with suppress(Interrupted):
        end(ChildWorker(cast(PlanExecution, execution)))
    assert told.read_text() == "stopped"

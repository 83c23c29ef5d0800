"""The executor `local`: one process does one stage after another, on one device."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runner.execute.coordinator import Coordinator
from runner.execute.plan_execution import PlanExecution, StageTask
from runner.execute.stage_worker import Ended

if TYPE_CHECKING:
    from runner.execute.worker import Worker


def execute_locally(execution: PlanExecution) -> bool:
    """Carry a plan out in this process; see :meth:`Coordinator.go`."""
    with LocalWorker(execution) as worker:
        return Coordinator(execution, worker).go()


class LocalWorker:
    """Does stages in this process, which imports torch and takes the device for the first one."""

    def __init__(self, execution: PlanExecution) -> None:
        self._execution = execution
        self._worker: Worker | None = None
        self._released: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._worker is not None:
            self._worker.__exit__(kind, error, trace)

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        """See :meth:`StageWorker.do`."""
        if self._worker is None:
            self._worker = self._begun()
        self._worker.do(tasks, ended)

    def release(self, artifacts: Sequence[str]) -> None:
        """Note that one stage fewer needs these artifacts."""
        if self._worker is None:
            self._released += artifacts
        else:
            self._worker.release(artifacts)

    def finish(self) -> None:
        """Wait until all that stages left is on the disk."""
        if self._worker is not None:
            self._worker.finish()

    def _begun(self) -> Worker:
        from runner.execute.worker import Worker

        execution = self._execution
        worker = Worker(
            execution.setup,
            execution.listener,
            execution.should_stop,
            execution.database,
            execution.sources,
            execution.crowd,
            execution.since,
        )
        worker.release(self._released)
        return worker

"""The executor `local`: one process does one stage after another, on one device."""

from __future__ import annotations

from runner.execute.coordinator import Coordinator
from runner.execute.plan_execution import PlanExecution
from runner.execute.worker import Worker


def execute_locally(execution: PlanExecution) -> None:
    """Carry a plan out in this process; see :meth:`Coordinator.go`."""
    with Worker(
        execution.setup,
        execution.listener,
        execution.should_stop,
        execution.database,
        execution.sources,
    ) as worker:
        Coordinator(execution, worker).go()

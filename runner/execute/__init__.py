"""Carrying out plans. To add an executor: one file here, and one line in EXECUTORS."""

from runner.execute.child import execute_in_child
from runner.execute.executors import EXECUTORS
from runner.execute.local import execute_locally
from runner.execute.plan_execution import PlanExecution
from runner.execute.pool import execute_with_workers

__all__ = ["EXECUTORS"]


def _execute_with_ray(execution: PlanExecution) -> bool:
    from runner.execute.ray_cluster import execute_with_ray  # ray is installed only where asked for

    return execute_with_ray(execution)


EXECUTORS |= {
    "local": execute_locally,
    "process": execute_in_child,
    "workers": execute_with_workers,
    "ray": _execute_with_ray,
}

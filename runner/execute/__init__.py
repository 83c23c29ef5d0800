"""Carrying out plans. To add an executor: one file here, and one line in EXECUTORS."""

from collections.abc import Callable

from runner.execute.child import execute_in_child
from runner.execute.local import execute_locally
from runner.execute.plan_execution import PlanExecution
from runner.execute.pool import execute_with_workers


def _execute_with_ray(execution: PlanExecution) -> bool:
    from runner.execute.ray_cluster import execute_with_ray  # ray is installed only where asked for

    return execute_with_ray(execution)


EXECUTORS: dict[str, Callable[[PlanExecution], bool]] = {
    "local": execute_locally,
    "process": execute_in_child,
    "workers": execute_with_workers,
    "ray": _execute_with_ray,
}
"""By name; each returns when every stage has ended and every result is recorded, with True; with
False when what is left is to be planned anew."""

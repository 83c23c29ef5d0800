"""The executors by name, for who carries plans out; the package fills them in.

Apart from them, since a worker that an executor starts elsewhere carries plans out, too.
"""

from __future__ import annotations

from collections.abc import Callable

from runner.execute.plan_execution import PlanExecution

Executor = Callable[[PlanExecution], bool]
"""Returns when every stage has ended and every result is recorded, with True; with False when what
is left is to be planned anew."""

EXECUTORS: dict[str, Executor] = {}

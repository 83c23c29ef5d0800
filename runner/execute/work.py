"""What an executor is handed and what it tells: the work, the listener, the summary.

Owns no behaviour but the silent listener; every executor takes and gives these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from runner.core.plan import Facts, Plan
from runner.core.stages import Stage
from runner.engine.context import Context, Progress
from runner.store.database import Database


class Listener(Protocol):
    """Is told what happens, from the thread that does the work."""

    def on_stage_start(self, stage: Stage) -> None:
        """A stage starts."""

    def on_stage_progress(self, stage: Stage, progress: Progress) -> None:
        """A stage has moved on; a few times a second at most."""

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        """A stage has ended, here or in another process (then ``seconds`` is 0)."""

    def on_run_end(self, run_key: str, status: str) -> None:
        """A run has a result."""

    def on_note(self, note: str) -> None:
        """Something a person should know."""


class NullListener:
    """Hears everything and says nothing."""

    def on_stage_start(self, stage: Stage) -> None:
        """Ignore it."""

    def on_stage_progress(self, stage: Stage, progress: Progress) -> None:
        """Ignore it."""

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        """Ignore it."""

    def on_run_end(self, run_key: str, status: str) -> None:
        """Ignore it."""

    def on_note(self, note: str) -> None:
        """Ignore it."""


@dataclass(frozen=True)
class PlanExecution:
    """A plan with all that carrying it out needs.

    Attributes:
        plan: what to do; ``plan.reads`` names every wanted run.
        facts: what was known when planning.
        reruns: which repetition of each run is wanted.
        environment: versions, machine and code, for the record.
    """

    database: Database
    plan: Plan
    facts: Facts
    reruns: Mapping[str, int]
    context: Context
    environment: Mapping[str, object]
    listener: Listener = field(default_factory=NullListener)

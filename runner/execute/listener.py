"""Who is told what happens while a plan is carried out.

Owns no behaviour but that of the listener that ignores everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runner.core.stages import Stage

if TYPE_CHECKING:
    from runner.engine.context import Progress


class Listener(Protocol):
    """Is told what happens, from the thread that carries the plan out."""

    def on_stage_start(self, stage: Stage) -> None:
        """A stage starts."""

    def on_stage_progress(self, stage: Stage, progress: Progress) -> None:
        """A stage has moved on; a few times a second at most."""

    def on_stage_left(self, stage: Stage) -> None:
        """A stage is no longer done here, but has not ended: it is done later, or elsewhere."""

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        """A stage has ended, here or in another process (then ``seconds`` is 0)."""

    def on_run_end(self, run_key: str, status: str) -> None:
        """A run has a result."""

    def on_note(self, note: str) -> None:
        """Something a person should know."""


class NullListener:
    """Ignores everything."""

    def on_stage_start(self, stage: Stage) -> None:
        """Ignore it."""

    def on_stage_progress(self, stage: Stage, progress: Progress) -> None:
        """Ignore it."""

    def on_stage_left(self, stage: Stage) -> None:
        """Ignore it."""

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        """Ignore it."""

    def on_run_end(self, run_key: str, status: str) -> None:
        """Ignore it."""

    def on_note(self, note: str) -> None:
        """Ignore it."""

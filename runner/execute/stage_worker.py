"""What the coordinator asks of a worker, and what it answers.

Owns no behaviour, and imports no torch: a plan without a stage to do needs none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runner.execute.plan_execution import StageTask
from runner.store.claims import ClaimHeld, StageEnded


@dataclass(frozen=True, slots=True)
class StageResult:
    """How a stage ended that a worker has done; can be pickled.

    Attributes:
        status: done, diverged or failed.
        seconds: wall time.
        message: why it has no result, or "".
        outcomes: what became of the runs that read a training.
    """

    status: str
    seconds: float
    message: str
    outcomes: Mapping[str, Mapping[str, Any]]


Answer = StageResult | StageEnded | ClaimHeld | None
"""What became of a task: None when another process took the stage over while it was done."""


class StageWorker(Protocol):
    """Does stages, here or elsewhere."""

    def do(self, task: StageTask) -> Answer:
        """Claim, do and record a stage, unless it has ended or is claimed.

        Raises:
            Interrupted: when asked to stop; what is finished is recorded.
            StoreError: when nothing more can be stored.
        """

    def release(self, artifacts: Sequence[str]) -> None:
        """Note that one stage fewer needs these artifacts."""

    def finish(self) -> None:
        """Wait until all that stages left is on the disk."""

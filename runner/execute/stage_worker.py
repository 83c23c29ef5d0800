"""What the coordinator asks of a worker, and what it answers.

Owns no behaviour, and imports no torch: a plan without a stage to do needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runner.core.stages import Stage
from runner.execute.plan_execution import StageTask
from runner.store.claim_answers import ClaimHeld, EpochsHeld, StageEnded


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


@dataclass(frozen=True, slots=True)
class NotTogether:
    """The stage could not be done with so many others; nothing is wrong with it alone.

    Attributes:
        why: for people.
    """

    why: str


Answer = StageResult | StageEnded | ClaimHeld | EpochsHeld | NotTogether | None
"""What became of a task: None when another process took the stage over while it was done."""

Ended = Callable[[Stage, Answer], None]
"""Told what became of a stage, as soon as that is known, while others may go on."""


class StageWorker(Protocol):
    """Does stages, here or elsewhere."""

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        """Claim, do and record stages together, but those that have ended or are claimed.

        Args:
            tasks: one, or trainings of one cohort.
            ended: told of each, once at most: of one that was not begun when a process died, never.

        Raises:
            Interrupted: when asked to stop; what is finished is recorded.
            StoreError: when nothing more can be stored.
        """

    def release(self, artifacts: Sequence[str]) -> None:
        """Note that one stage fewer needs these artifacts."""

    def finish(self) -> None:
        """Wait until all that stages left is on the disk."""

"""What a process is told that asks for a stage: it is its own, it has ended, or who has it.

Owns no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.artifacts.process import Process


@dataclass(frozen=True, slots=True)
class Claimed:
    """This process does the stage, as this attempt.

    Attributes:
        stage_key: the stage.
        attempt_id: the attempt.
        took_over: the attempt whose process had died with it; None where nobody had it.
    """

    stage_key: str
    attempt_id: int
    took_over: int | None = None


@dataclass(frozen=True, slots=True)
class StageEnded:
    """The stage has a result already, or has just failed in another process."""

    status: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class ClaimHeld:
    """Another living process does the stage; which one is not known while it is claiming it."""

    owner: Process | None


@dataclass(frozen=True, slots=True)
class EpochsHeld:
    """Another living process trains some of the stage's epochs, as another stage."""

    owner: Process

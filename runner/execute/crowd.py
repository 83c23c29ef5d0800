"""Whether a stage that had too little memory is tried again, with fewer workers beside it.

A batch is never made smaller: that would be another training. Owns no count of workers: who starts
them knows.
"""

from __future__ import annotations

from typing import Protocol

from runner.core.stages import Stage
from runner.store.claims import InTheWay


class Crowd(Protocol):
    """The other workers on a worker's device."""

    def lower(self, stage: Stage) -> bool:
        """Return whether a stage that had too little memory has another chance, beside fewer."""

    def in_the_way(self, stage: Stage) -> InTheWay | None:
        """Return what tells that there is no room for a stage now; None where there is."""


class Alone:
    """No others: what does not fit fails."""

    def lower(self, stage: Stage) -> bool:
        """Return that it fails."""
        return False

    def in_the_way(self, stage: Stage) -> InTheWay | None:
        """Return nothing."""
        return None

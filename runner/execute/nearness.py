"""Which stages are left for a moment to machines that hold what they need, and which cannot be.

Counts only where machines share artifacts. Owns how long is waited: seconds, as what a stage needs
can be fetched too. Claims and plans are the coordinator's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from runner.artifacts.folder import Artifacts
from runner.core.artifacts import kind_of
from runner.core.stages import AfterTraining, Stage
from runner.engine.job import DigestOf
from runner.engine.products import is_there, lies_here

LEFT_SECONDS = 2.0
"""For so long a stage is left to others that may hold what it needs."""
GONE_SECONDS = 60.0
"""For so long weights that are nowhere are waited for: who has them may not reach the others."""
LOOK_SECONDS = 1.0
"""Between two looks whether others are at work."""


class Nearness:
    """What lies near of what stages need."""

    def __init__(
        self,
        artifacts: Artifacts,
        digest_of: DigestOf,
        are_others_at_work: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at nothing yet.

        Args:
            artifacts: of the database.
            digest_of: returns recorded digests.
            are_others_at_work: returns whether processes of other machines hold claims.
            clock: seconds from some moment on.
        """
        self._artifacts, self._digest_of = artifacts, digest_of
        self._look_at_others = are_others_at_work
        self._looked: float | None = None
        self._others = False
        self._clock = clock
        self._since: dict[str, float] = {}

    def leaves(self, stages: Sequence[Stage]) -> bool:
        """Return whether stages that are ready and done together are left to others now."""
        if self._artifacts.shared is None or not any(map(self._afar, stages)):
            return False
        waited = max(self._waited(stage) for stage in stages)
        return waited < LEFT_SECONDS and self._are_others_at_work()

    def lacks(self, stage: Stage) -> bool | None:
        """Return whether weights or logits that a stage looks at are nowhere, or not whole.

        What is shared is brought here. None while others may still have them.
        """
        if self._artifacts.shared is None or not isinstance(stage, AfterTraining):
            return False
        afar = [each for each in self._afar(stage) if kind_of(each) in ("weights", "logits")]
        if all(is_there(self._artifacts, name, self._digest_of) for name in afar):
            return False
        is_over = self._waited(stage) >= GONE_SECONDS or not self._are_others_at_work()
        return True if is_over else None

    def let_arrive(self) -> None:
        """Wait a moment before a new plan: a state may be shared just after its training's end."""
        if self._artifacts.shared is not None:
            time.sleep(LEFT_SECONDS)

    def _afar(self, stage: Stage) -> list[str]:
        """Return the artifacts that a stage needs and that do not lie here."""
        return [name for name in stage.consumes if not lies_here(self._artifacts, name)]

    def _waited(self, stage: Stage) -> float:
        """Return the seconds since a stage was first found ready."""
        now = self._clock()
        return now - self._since.setdefault(stage.key, now)

    def _are_others_at_work(self) -> bool:
        if self._looked is None or self._clock() - self._looked > LOOK_SECONDS:
            self._looked, self._others = self._clock(), self._look_at_others()
        return self._others

"""In which order the stages of a plan are tried that are not done yet."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import islice

from runner.core.stages import Stage
from runner.execute.schedule import Schedule
from runner.planner.longest import order_of

WIDEST = 1024
"""The most groups that are drawn among because of others."""


class Turns:
    """Groups of stages that are done together, in the order in which they are tried.

    Put in order once, since a worker asks between all stages, of plans with thousands.
    """

    def __init__(self, schedule: Schedule, longest: Mapping[str, float]) -> None:
        """Begin with all that is pending.

        Args:
            schedule: what is pending, and what is done together.
            longest: seconds from each stage to the end of all that waits for it; empty for the
                order of the plan.
        """
        self._schedule, self._longest = schedule, longest
        self._groups: list[list[Stage]] = []
        self._splits = -1  # of the schedule, when the groups were put in order
        self._draw = random.Random()
        self._width = 1

    def next(self, at_work: int) -> Iterator[list[Stage]]:
        """Return the groups that are pending now, those to be begun first in front.

        Workers that look at one moment do not all try the same: each draws among as many as are at
        work, or more where others have been faster (:meth:`was_late`).

        Args:
            at_work: how many stages others do now; 0 for the order itself.
        """
        pending = self._schedule.pending
        if self._splits != self._schedule.splits:
            self._groups, self._splits = self._in_order(), self._schedule.splits
        else:
            self._groups = [
                group for group in self._groups if any(each.key in pending for each in group)
            ]
        return self._drawn(at_work) if self._longest else iter(self._groups)

    def was_late(self) -> None:
        """Note that another took what was to be taken: many look for work at one moment.

        As when all begin, or a server is back. Drawing among twice as many each time, they part
        after a few tries, where each would else be late for what every other one has taken.
        """
        self._width = min(2 * self._width, WIDEST)

    def was_first(self) -> None:
        """Note that nobody else took it."""
        self._width = max(self._width // 2, 1)

    def _in_order(self) -> list[list[Stage]]:
        groups = self._schedule.together()
        if self._longest:
            groups.sort(key=lambda group: order_of(group, self._longest))
        return groups

    def _drawn(self, at_work: int) -> Iterator[list[Stage]]:
        coming = iter(self._groups)
        nearest: list[list[Stage]] = []
        while True:
            lacking = max(at_work + 1, self._width) - len(nearest)
            nearest += islice(coming, max(lacking, 0))
            if not nearest:
                return
            yield nearest.pop(self._draw.randrange(len(nearest)))

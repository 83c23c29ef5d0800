"""In which order the stages of a plan are tried that are not done yet."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from runner.core.stages import Stage
from runner.execute.schedule import Schedule
from runner.planner.longest import order_of


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

    def next(self, at_work: int) -> Iterator[list[Stage]]:
        """Return the groups that are pending now, those to be begun first in front.

        Workers that look at one moment do not all try the same: each draws among as many as are at
        work.

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
        return self._drawn(at_work) if self._longest and at_work else iter(self._groups)

    def _in_order(self) -> list[list[Stage]]:
        groups = self._schedule.together()
        if self._longest:
            groups.sort(key=lambda group: order_of(group, self._longest))
        return groups

    def _drawn(self, at_work: int) -> Iterator[list[Stage]]:
        coming: Sequence[list[Stage]] = self._groups
        nearest = list(coming[:at_work])
        for group in coming[at_work:]:
            nearest.append(group)
            yield nearest.pop(self._draw.randrange(len(nearest)))
        while nearest:
            yield nearest.pop(self._draw.randrange(len(nearest)))

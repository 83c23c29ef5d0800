"""How far a run was written to a tool, so that an export goes on behind what is there.

A tool keeps it beside the run. It is stored after what it speaks of: what a killed export has
written beyond it is either removed or written again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from runner.report.trackers.tracker import Point, Result, TrackedRun


@dataclass(frozen=True)
class Written:
    """What is there of a run.

    Attributes:
        run: key and repetition; "" of what is no run.
        epochs: the last epoch, 0 without.
        attempts: which attempts measured the epochs up to it.
        result: which result, None without.
        series: of each how many numbers are there, and the last step.
    """

    run: str = ""
    epochs: int = 0
    attempts: str = ""
    result: Result | None = None
    series: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def goes_on(self, run: TrackedRun, points: Iterable[Point]) -> bool:
        """Return whether it is the beginning of what is recorded.

        It is not where a failed run was tried again, or an epoch was done again.
        """
        if self.result is not None and self.result[:2] != (run.result or ())[:2]:
            return False
        there = Counter(point.name for point in points if not self._lacks(point))
        counts = {name: count for name, (count, _) in self.series.items()}
        return there == counts and self.attempts == run.attempts(self.epochs)

    def new(self, points: Iterable[Point]) -> list[Point]:
        """Return the numbers that are not there."""
        return [point for point in points if self._lacks(point)]

    def _lacks(self, point: Point) -> bool:
        return point.name not in self.series or point.step > self.series[point.name][1]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Written:
        """Return what was stored.

        Raises:
            TypeError: for another content, as KeyError and ValueError.
        """
        result: Sequence[Any] | None = content["result"]
        series = {str(name): (int(n), int(last)) for name, (n, last) in content["series"].items()}
        found = {name: content[name] for name in ("run", "epochs", "attempts")}
        return cls(**found, result=None if result is None else Result(*result), series=series)


def written(run: TrackedRun, points: Iterable[Point]) -> Written:
    """Return what is there once these numbers are, which are all that a run has."""
    series: dict[str, tuple[int, int]] = {}
    for point in points:
        count, last = series.get(point.name, (0, 0))
        series[point.name] = (count + 1, max(last, point.step))
    last_epoch = run.last_epoch
    return Written(run.identity, last_epoch, run.attempts(last_epoch), run.result, series)

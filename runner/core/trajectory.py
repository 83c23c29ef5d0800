"""Trajectories: the epochs of a training, and which states lie on them.

A trajectory is a row of segments. A segment's key says all that came before it, so a state is named
by segment and epoch, wherever it was trained. Knows neither runs nor files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.artifacts import state_name


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive epochs of one trajectory under constant values (or one unrolling rule).

    The key hashes the state before, the first epoch and the values, not ``num_epochs``: two runs
    that train the same way for different times have segments with equal keys.
    """

    key: str
    first_epoch: int
    num_epochs: int

    @property
    def last_epoch(self) -> int:
        """The last epoch of the segment."""
        return self.first_epoch + self.num_epochs - 1


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Segments one behind the other, from the first epoch on."""

    segments: tuple[Segment, ...]

    @property
    def key(self) -> str:
        """The key of the first segment: what trainings must have in common to share anything."""
        return self.segments[0].key

    @property
    def last_epoch(self) -> int:
        """The last epoch, 0 without segments."""
        return self.segments[-1].last_epoch if self.segments else 0

    def segment_at(self, epoch: int) -> Segment | None:
        """Return the segment that holds an epoch, None where none does."""
        for segment in self.segments:
            if segment.first_epoch <= epoch <= segment.last_epoch:
                return segment
        return None

    def state_at(self, epoch: int) -> str:
        """Return the artifact name of the state after an epoch.

        Raises:
            ValueError: for an epoch that is not one of these.
        """
        segment = self.segment_at(epoch)
        if segment is None:
            raise ValueError(f"no epoch {epoch} in a trajectory of {self.last_epoch}")
        return state_name(segment.key, epoch)

    def contains(self, segment_key: str, epoch: int) -> bool:
        """Return whether the state after an epoch of a segment is one of these."""
        segment = self.segment_at(epoch)
        return segment is not None and segment.key == segment_key

    def upto(self, epoch: int) -> Trajectory:
        """Return the epochs up to one."""
        if epoch >= self.last_epoch:
            return self
        return Trajectory(
            tuple(
                segment
                if segment.last_epoch <= epoch
                else Segment(segment.key, segment.first_epoch, epoch - segment.first_epoch + 1)
                for segment in self.segments
                if segment.first_epoch <= epoch
            )
        )

    def common_epochs(self, other: Trajectory) -> int:
        """Return the last epoch up to which two trajectories are the same, or 0."""
        common = 0
        for ours, theirs in zip(self.segments, other.segments, strict=False):
            if ours.key != theirs.key:
                break
            common = min(ours.last_epoch, theirs.last_epoch)
            if ours.last_epoch != theirs.last_epoch:
                break
        return common

    def to_json(self) -> list[dict[str, Any]]:
        """Return it as stages hold it."""
        return [
            {"key": each.key, "first_epoch": each.first_epoch, "num_epochs": each.num_epochs}
            for each in self.segments
        ]

    @classmethod
    def from_json(cls, values: Iterable[Mapping[str, Any]]) -> Trajectory:
        """Return what :meth:`to_json` made."""
        return cls(tuple(Segment(**each) for each in values))

"""Trajectories: which epochs they hold, which states lie on them.

A path is a list of segments as JSON, each with its key, its first epoch and how many it has. A
segment's key says all that came before it, so a state is named by segment and epoch. Knows no
files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Segments = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive epochs of one trajectory under constant values (or one unrolling rule).

    The key hashes the parent, the first epoch and the values, not ``num_epochs``: two runs that
    train the same way for different times have segments with equal keys.
    """

    key: str
    parent_key: str
    first_epoch: int
    num_epochs: int
    values: Mapping[str, Any]


def end_of(segment: Mapping[str, Any]) -> int:
    """Return the last epoch of a segment."""
    return int(segment["first_epoch"] + segment["num_epochs"] - 1)


def last_epoch(path: Segments) -> int:
    """Return the last epoch of a path, 0 of an empty one."""
    return end_of(path[-1]) if path else 0


def common_epochs(one: Segments, other: Segments) -> int:
    """Return the last epoch up to which two paths from the first epoch on are the same, or 0."""
    common = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine["key"] != theirs["key"]:
            break
        common = min(end_of(mine), end_of(theirs))
        if end_of(mine) != end_of(theirs):
            break
    return common


def state_name(segment: str, epoch: int) -> str:
    """Return the artifact name of the state after an epoch of a segment."""
    return f"states/{segment}-{epoch}"


def place_of_state(name: str) -> tuple[str, int] | None:
    """Return segment and epoch of an artifact name, or of a state's folder; None of others."""
    segment, _, epoch = name.removeprefix("states/").rpartition("-")
    return (segment, int(epoch)) if segment and epoch.isdecimal() else None


def segment_at(path: Segments, epoch: int) -> str:
    """Return the key of the segment that holds an epoch."""
    return next(str(each["key"]) for each in reversed(path) if each["first_epoch"] <= epoch)


def state_at(path: Segments, epoch: int) -> str:
    """Return the artifact name of the state after an epoch of a path."""
    return state_name(segment_at(path, epoch), epoch)


def lies_on(path: Segments, segment: str, epoch: int) -> bool:
    """Return whether the state after an epoch of a segment is one of a path."""
    return any(
        each["key"] == segment and each["first_epoch"] <= epoch <= end_of(each) for each in path
    )

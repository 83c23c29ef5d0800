"""One stage to do, as whoever executes a plan hands it to the engine.

Owns what the engine is told beside the stage, and whom it tells of epochs and ended readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from runner.core.plan import Record
from runner.core.records import EpochRecord, Produced
from runner.core.stages import Stage

if TYPE_CHECKING:
    from runner.engine.context import Progress

EpochSink = Callable[[Sequence[EpochRecord]], None]
"""Stores finished epochs; raises ClaimLost when the stage was taken over."""

RangeSink = Callable[[Mapping[str, Sequence[Sequence[int]]]], None]
"""Stores which epochs the readers of a training have, by reader, as (attempt, first, last), where
an attempt in progress has all that the reader may read of it; raises ClaimLost likewise."""

CanContinue = Callable[[Sequence[Sequence[int]]], bool]
"""Returns whether ranges of recorded epochs, as (attempt, first, last), are all there."""

DigestOf = Callable[[str], str | None]
"""Returns the recorded digest of an artifact, None where none is recorded."""

CheckClaim = Callable[[], None]
"""Raises ClaimLost when the stage was taken over; not when its attempt has ended by itself. Called
from the thread that writes."""

S = TypeVar("S", bound=Stage, covariant=True)


@dataclass(frozen=True)
class StageJob(Generic[S]):
    """One stage to do, with where its records go.

    Attributes:
        stage: the stage.
        attempt: id of the attempt that records it.
        store_epochs: stores finished epochs.
        can_continue: whether ranges of recorded epochs are all there.
        outcomes: what became of readers in trainings that have ended, for evaluations.
        digest_of: returns the recorded digest of weights, for evaluations.
        record: recorded epochs from which a training is read, or None.
        store_ranges: stores which epochs the readers of a training have so far.
        check_claim: called before a file takes its place.
        on_progress: told of this stage's progress in place of the context's, where several are done
            together.
        finished_readers: filled with what becomes of the readers of a training that want no further
            epoch, also when it fails later.
        produced: filled with their weights, likewise.
    """

    stage: S
    attempt: int
    store_epochs: EpochSink
    can_continue: CanContinue
    outcomes: Mapping[str, Mapping[str, Any]]
    digest_of: DigestOf = lambda name: None
    record: Record | None = None
    store_ranges: RangeSink = lambda ranges: None
    check_claim: CheckClaim = lambda: None
    on_progress: Callable[[Progress], None] | None = None
    finished_readers: dict[str, Any] = field(default_factory=dict)
    produced: list[Produced] = field(default_factory=list)

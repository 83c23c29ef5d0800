"""Plans, and what is known before planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.core.records import EpochRecord, RunStatus
from runner.core.stages import Stage

DEFAULT_CACHE_LIMIT = 20 * 10**9
"""Bytes of frozen features and states of trainings that are kept."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule did to one stage, and why, for people."""

    rule: str
    stage_key: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages for all wanted runs, parents first.

    Attributes:
        stages: what is to be computed.
        reads: for each run, the stages that it reads, whether done or to do.
        skipped: stages left out, with the reason.
        decisions: what the rules did.
    """

    stages: tuple[Stage, ...]
    reads: Mapping[str, tuple[str, ...]]
    skipped: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """A state on the disk from which a training may go on, as far as can be told without tensors.

    Attributes:
        segment: of the path on which it lies.
        epoch: the epoch after which it is.
        stage: key of the training whose checkpoint it is, "" when kept for others.
        history: metrics by full name of each epoch so far.
        kept: epochs whose weights lie beside it.
        written: weights of readers satisfied before that lie on the disk.
        limit: the limit of divergence under which it was made.
    """

    segment: str
    epoch: int
    stage: str
    history: Sequence[Mapping[str, float]]
    kept: frozenset[int]
    written: frozenset[str]
    limit: float


@dataclass(frozen=True, slots=True)
class Record:
    """Recorded epochs of one training, from the first on.

    Attributes:
        path: on which they lie.
        reads: which epochs of which attempts they are, as (attempt, first, last).
        history: metrics by full name of each epoch.
        limit: a limit of divergence under which they are what is trained.
        ending: the epoch behind them in which a training of that limit diverges, or None.
        kept: by epoch, artifacts here with the weights after it, and their digest ("" for states).
        inputs: digests of what was trained on.
    """

    path: Sequence[Mapping[str, Any]]
    reads: Sequence[tuple[int, int, int]]
    history: Sequence[Mapping[str, float]]
    limit: float
    ending: EpochRecord | None = None
    kept: Mapping[int, Sequence[tuple[str, str]]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before planning.

    Attributes:
        done: keys of stages with a result.
        diverged: those of them that diverged: later stages cannot be done.
        settled: readings of unfinished runs that have ended well in a training of several.
        artifacts: artifacts that lie on this disk.
        starts: states and checkpoints on this disk, made as this device would make them.
        records: recorded epochs on the wanted paths, made as this device would make them.
        ended: readings that need no record: they diverged, left weights here or a checkpoint.
        finished: status of each run that has a result.
        seconds: measured seconds an epoch (or a stage) by cost kind, on this device.
        cache_limit: the most bytes that frozen features and states of trainings may take.
    """

    done: frozenset[str] = frozenset()
    diverged: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    starts: tuple[ResumePoint, ...] = ()
    records: tuple[Record, ...] = ()
    ended: frozenset[str] = frozenset()
    finished: Mapping[str, RunStatus] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    cache_limit: int = DEFAULT_CACHE_LIMIT

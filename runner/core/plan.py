"""Plans, and what is known before planning."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.core.records import EpochRange, EpochRecord, RunStatus
from runner.core.stages import Stage
from runner.core.trajectory import Trajectory

DEFAULT_CACHE_LIMIT = 20 * 10**9
"""Bytes of frozen features and states of trainings that are kept."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule did to one stage, and why, for people."""

    rule: str
    stage_key: str
    why: str


@dataclass(frozen=True, slots=True)
class Cohort:
    """Trainings that are done together, step by step, each as it would be done alone.

    Attributes:
        stages: their keys, in the order of the plan.
        why: what they share, for people.
    """

    stages: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages for all wanted runs, parents first.

    Attributes:
        stages: what is to be computed.
        stages_by_run: for each run, keys of the stages that it reads, whether done or to do.
        skipped: stages left out, with the reason.
        decisions: what the rules did.
        measurements: for each run, keys of the evaluations that a table asks for. They are no part
            of the run, which is complete without them.
        analyses: likewise, keys of the analyses that its spec asks for.
        cohorts: trainings that are done together; every other stage is done by itself.
    """

    stages: tuple[Stage, ...]
    stages_by_run: Mapping[str, tuple[str, ...]]
    skipped: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    measurements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cohorts: tuple[Cohort, ...] = ()
    analyses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def without(self, stages: Collection[Stage], why: str) -> Plan:
        """Return the plan without some stages, with the reason for people."""
        keys = {stage.key for stage in stages}
        return replace(
            self,
            stages=tuple(stage for stage in self.stages if stage.key not in keys),
            skipped={**self.skipped, **dict.fromkeys((stage.key for stage in stages), why)},
        )

    def after_runs(self) -> set[str]:
        """Return the keys of measurements and analyses: wanted for runs, and no part of them."""
        return {
            key
            for by_run in (self.measurements, self.analyses)
            for keys in by_run.values()
            for key in keys
        }

    def read_by_open_runs(self, finished: Collection[str]) -> set[str]:
        """Return the keys of the stages that runs without a result read.

        Args:
            finished: keys of the runs with one.
        """
        return {
            key for run, keys in self.stages_by_run.items() if run not in finished for key in keys
        }


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
        trajectory: on which they lie.
        ranges: which epochs of which attempts they are.
        history: metrics by full name of each epoch.
        limit: a limit of divergence under which they are what is trained.
        ending: the epoch behind them in which a training of that limit diverges, or None.
        kept: by epoch, artifacts here with the weights after it, and their digest ("" for states).
        inputs: digests of what was trained on.
    """

    trajectory: Trajectory
    ranges: Sequence[EpochRange]
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
        finished_readers: readers that have ended well in a training, by what it calls each.
        artifacts: artifacts that lie on this disk.
        resume_points: states and checkpoints on this disk, made as this device would make them.
        records: recorded epochs on the wanted paths, made as this device would make them.
        ended: readers that need no record: they diverged, left weights here or a checkpoint.
        finished: status of each run that has a result.
        seconds: measured seconds an epoch (or a stage) by cost key, on this device.
        cache_limit: the most bytes that features, changed images and states may take.
        memory: bytes of memory where networks are trained, None where that is not known.
        threads: CPU threads of a training, by the multiply-adds of a step, as far as known.
    """

    done: frozenset[str] = frozenset()
    diverged: frozenset[str] = frozenset()
    finished_readers: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    resume_points: tuple[ResumePoint, ...] = ()
    records: tuple[Record, ...] = ()
    ended: frozenset[str] = frozenset()
    finished: Mapping[str, RunStatus] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    cache_limit: int = DEFAULT_CACHE_LIMIT
    memory: int | None = None
    threads: Mapping[int, int] = field(default_factory=dict)

"""The values that layers hand to one another, all frozen.

Owns their meaning only. Settings appear as plain nested dictionaries in their canonical form, so
that planning and storing need no knowledge of components.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

StageKind = Literal["prepare", "features", "train", "evaluate"]
RunStatus = Literal["done", "diverged", "failed"]
AttemptStatus = Literal["running", "done", "diverged", "failed", "interrupted", "lost", "reference"]
Settings = Mapping[str, Any]

DEFAULT_CACHE_LIMIT = 20 * 10**9
"""Bytes of frozen features and states of trainings that are kept."""

LAST = "last"
"""The monitor that selects the last epoch instead of the best."""


@dataclass(frozen=True, slots=True)
class StopRule:
    """Stop once ``monitor`` has not improved by more than ``tolerance`` for ``patience`` epochs."""

    monitor: str
    mode: Literal["min", "max"]
    patience: int
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class SelectRule:
    """Keep the weights of the epoch with the best ``monitor``, the first on ties."""

    monitor: str
    mode: Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Reader:
    """How a run reads its trajectory: where it stops and which weights it keeps.

    Attributes:
        budget: the most epochs it reads.
        stop_rule: early stopping, or None.
        select_rule: which epoch's weights it keeps.
        wants_test: which epochs are evaluated on the test images.
        diverged_if: a step's loss above this multiple of the first epoch's mean loss ends it.
    """

    budget: int
    stop_rule: StopRule | None
    select_rule: SelectRule
    wants_test: Literal["never", "best", "last", "each_epoch"]
    diverged_if: float


@lru_cache(maxsize=1 << 10)
def reader_values(reader: Reader) -> Mapping[str, Any]:
    """Return a reader as JSON values; one mapping for all readers that are equal."""
    return asdict(reader)


@dataclass(frozen=True, slots=True)
class Published:
    """A value printed elsewhere.

    Attributes:
        value: as printed.
        within: the most by which a measured value may differ from it, or None when nothing is
            asked of the difference.
    """

    value: float
    within: float | None = None

    def as_json(self) -> float | dict[str, float]:
        """Return the value as records hold it: a number, or a mapping when it has a tolerance."""
        if self.within is None:
            return self.value
        return {"value": self.value, "within": self.within}

    @classmethod
    def from_json(cls, recorded: float | Mapping[str, float]) -> "Published":
        """Return what :meth:`as_json` made; numbers are all that older records have."""
        if isinstance(recorded, Mapping):
            return cls(recorded["value"], recorded["within"])
        return cls(recorded)


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in a table.

    Attributes:
        position: which combination of the sweep, from 0, in the order of the spec.
        labels: what the spec calls it, by label name.
        swept: the settings that the sweep gave it, by canonical path.
        published: values printed elsewhere, by table column.
        variant: "" or the profile and ``--set`` options that changed it.
        settings: everything resolved, seed included.
        settings_key: the key of ``settings``.
        name: what people call its combination, which no other of its experiment is called.
    """

    experiment: str
    position: int
    seed: int
    labels: Mapping[str, str]
    swept: Mapping[str, Any]
    published: Mapping[str, Published]
    variant: str
    settings: Settings
    settings_key: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One fully resolved training on known data; equal runs answer several cells.

    Attributes:
        fingerprint: of the data.
        weights: digest of the pretrained tensors that are loaded, "" without.
    """

    run_key: str
    settings_key: str
    settings: Settings
    data_key: str
    fingerprint: str
    reader: Reader
    weights: str = ""


@dataclass(frozen=True, slots=True)
class FrozenPrefix:
    """The part of a network that computes the same for an image in every epoch.

    Attributes:
        key: hash of the images, of the part's operations and of its weights.
        cut: name of its last operation.
        shape: of one image's output.
    """

    key: str
    cut: str
    shape: tuple[int, ...]


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


@dataclass(frozen=True, slots=True)
class Stage:
    """One unit of work.

    Attributes:
        key: hash of what it computes and of its parents' keys.
        spec: what the engine is given, JSON only.
        needs: keys of the stages that come before it.
        produces: artifacts that later stages need.
        consumes: artifacts that it needs, of the stages before it.
        cost_kind: stages of one cost kind cost the same an epoch on one device.
        epochs: the most epochs it trains.
        num_bytes: disk that its product takes, or None when not known yet.
        state_bytes: disk that the state at its end takes, about.
        prefix: the stage that computes its network's frozen prefix for all images, or None when
            it has none or it cannot be shared.
        prefix_unshared: why its network's frozen prefix has to be computed in every epoch, or "".
    """

    key: str
    kind: StageKind
    spec: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    cost_kind: str = ""
    epochs: int = 0
    num_bytes: int | None = None
    state_bytes: int = 0
    prefix: "Stage | None" = None
    prefix_unshared: str = ""


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
    ending: "EpochRecord | None" = None
    kept: Mapping[int, Sequence[tuple[str, str]]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before planning.

    Attributes:
        done: keys of stages with a result.
        diverged: those of them that diverged: who still waited for them waits in vain.
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


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of one epoch: ``split`` is train, train_eval, val or test."""

    epoch: int
    split: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch of training leaves behind.

    Attributes:
        epoch: from 1.
        metrics: the epoch's metrics.
        step_losses: training loss of each step, in order.
        learning_rate: the rate in force.
        seconds: wall time, evaluation included.
    """

    epoch: int
    metrics: tuple[Metric, ...]
    step_losses: tuple[float, ...]
    learning_rate: float
    seconds: float

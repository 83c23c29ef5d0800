"""The units of work of a plan, one class for each kind.

Owns what a stage is, what it needs and leaves, what it is called, and how it stands in a database.
What the planner adds (how much is left to do, what it takes) is not stored. To add a kind: a class
here, in ``Stage`` and in ``StageKind``; mypy then names every place that must know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from runner.core.artifacts import analysis_name, logits_name, pixels_name, weights_name
from runner.core.prefix import FrozenPrefix
from runner.core.reader import KeptWeights, Reader
from runner.core.run import ResolvedSettings
from runner.core.trajectory import Trajectory

StageKind = Literal["prepare", "features", "train", "evaluate", "analyse"]
STAGE_KINDS: tuple[StageKind, ...] = get_args(StageKind)
"""In the order in which a run needs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """What all stages have.

    Attributes:
        key: hash of what it computes and of its parents' keys.
        needs: keys of the stages that come before it.
        cost_key: stages of one cost key cost the same an epoch on one device.
        num_bytes: disk that its product takes, or None when not known yet.
        multiply_adds: of its network for one image, 0 without a network or when not known yet.
    """

    key: str
    needs: tuple[str, ...] = ()
    cost_key: str = ""
    num_bytes: int | None = None
    multiply_adds: int = 0

    shared: ClassVar[Literal["never", "between runs", "always"]] = "never"
    """When a plan has it do for a run what the run would not do alone."""

    @property
    def epochs(self) -> int:
        """The most epochs that it trains."""
        return 0

    @property
    def cost_units(self) -> int:
        """How often it takes the seconds that are known of its cost key."""
        return 1

    @property
    def state_bytes(self) -> int:
        """Disk that the state at its end takes, about."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare(_Planned):
    """Decoding a data set's images.

    Attributes:
        data: settings of the data.
    """

    kind: ClassVar[StageKind] = "prepare"
    pixels_key: str
    data: ResolvedSettings

    @property
    def produces(self) -> tuple[str, ...]:
        """Artifacts that later stages need."""
        return (pixels_name(self.pixels_key),)

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifacts that it needs, of the stages before it."""
        return ()

    def title(self) -> str:
        """Return what it does, in words."""
        return f"prepare {self.data.json['dataset']}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a database holds it."""
        return {"pixels_key": self.pixels_key, "data": self.data.json}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractFeatures(_Planned):
    """Computing the output of a frozen prefix for all images.

    Attributes:
        settings: of a run whose network begins with it.
    """

    kind: ClassVar[StageKind] = "features"
    shared = "always"
    settings: ResolvedSettings
    pixels_key: str
    prefix: FrozenPrefix

    @property
    def produces(self) -> tuple[str, ...]:
        """Artifacts that later stages need."""
        return (self.prefix.name,)

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifacts that it needs, of the stages before it."""
        return (pixels_name(self.pixels_key),)

    def title(self) -> str:
        """Return what it does, in words."""
        return f"features of {_model(self.settings)} up to {self.prefix.cut}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a database holds it."""
        return {
            "settings": self.settings.json,
            "pixels_key": self.pixels_key,
            "prefix": self.prefix.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Train(_Planned):
    """Training, from a first epoch on, until no reader wants another.

    Attributes:
        settings: that hold for all epochs of the trajectory.
        trajectory: from the first epoch to the last of this stage.
        readers: the runs that it ends, by what trainings call each.
        first_epoch: of its own.
        start: artifact name of the state that it goes on from, "" from the first epoch.
        recorded: the last epoch that is read as recorded where nothing is trained, else None.
        prefix: the frozen part with which its network begins, or None.
        on_features: whether its network sees the prefix's outputs instead of images; of images that
            are augmented with no fixed number of views, only where it is evaluated.
        stream: key of the images and labels of each step, which trainings of one have in common,
            "" where that is not known; in no other key, and not stored.
        evaluated: images that are evaluated after each epoch, as a share of all of the data set; 0
            where that is not known.
        epochs: the most epochs that it trains now.
        state_bytes: disk that the state at its end takes, about.
        has_branches: whether others go on from its last state.
        passed_start: whether a checkpoint lies behind the state that it goes on from.
        read_states: states whose weights are taken where it is read as recorded.
    """

    kind: ClassVar[StageKind] = "train"
    shared = "between runs"
    settings: ResolvedSettings
    pixels_key: str
    trajectory: Trajectory
    readers: Mapping[str, Reader]
    first_epoch: int = 1
    start: str = ""
    recorded: int | None = None
    prefix: FrozenPrefix | None = None
    on_features: bool = False
    stream: str = ""
    evaluated: float = 0.0
    epochs: int = 0
    state_bytes: int = 0
    has_branches: bool = False
    passed_start: bool = False
    read_states: tuple[str, ...] = ()

    @property
    def cost_units(self) -> int:
        """How often it takes the seconds that are known of its cost key."""
        return self.epochs

    @property
    def trains_on_features(self) -> bool:
        """Whether its network sees features in its steps too, not only where it is evaluated."""
        return self.on_features and self.prefix is not None and self.prefix.views is not None

    @property
    def last_epoch(self) -> int:
        """The last epoch of its trajectory."""
        return self.trajectory.last_epoch

    @property
    def last_state(self) -> str:
        """The artifact name of the state after its last epoch."""
        return self.trajectory.state_at(self.last_epoch)

    @property
    def weights(self) -> tuple[str, ...]:
        """The artifact names of the weights that its readers keep."""
        return tuple(
            weights_name(name, which)
            for name, reader in self.readers.items()
            for which in reader.keeps
        )

    @property
    def produces(self) -> tuple[str, ...]:
        """Artifacts that later stages need."""
        return (*self.weights, self.last_state) if self.has_branches else self.weights

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifacts that it needs, of the stages before it."""
        start = (self.start,) if self.start and not self.passed_start else ()
        return (pixels_name(self.pixels_key), *start, *self.read_states, *_features_of(self))

    def title(self) -> str:
        """Return what it does, in words."""
        model, last = _model(self.settings), self.last_epoch
        if self.recorded is not None:
            return f"read {model}, epochs 1–{self.recorded} as recorded"
        on = ""
        if self.on_features:
            on = " on features" if self.trains_on_features else ", evaluated on features"
        if not self.epochs:
            return f"train {model}{on}, nothing: epoch {last} was reached before"
        return f"train {model}{on}, epochs {last - self.epochs + 1}–{last}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a database holds it."""
        return {
            "settings": self.settings.json,
            "pixels_key": self.pixels_key,
            "readers": {name: reader.to_json() for name, reader in self.readers.items()},
            "first_epoch": self.first_epoch,
            "start": self.start,
            "path": self.trajectory.to_json(),
            **({} if self.recorded is None else {"recorded": self.recorded}),
            **_features_json(self),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate(_Planned):
    """Measuring weights that a run has kept.

    Attributes:
        settings: of the run.
        solo_key: what trainings call the run.
        trainings: keys of those that the run reads.
        weights: artifact name of the weights.
        split: the images.
        epoch: which weights they are.
        measures: names of what is measured, () for the standard measures.
        epoch_number: of the weights, where the run is finished, so that it is known; else None.
        prefix: the frozen part with which its network begins, or None.
        on_features: whether its network sees the prefix's outputs instead of images.
        from_logits: whether it reads logits that an earlier one left, without a network; not
            stored.
    """

    kind: ClassVar[StageKind] = "evaluate"
    settings: ResolvedSettings
    pixels_key: str
    solo_key: str
    trainings: tuple[str, ...]
    weights: str
    split: str
    epoch: KeptWeights
    measures: tuple[str, ...] = ()
    epoch_number: int | None = None
    prefix: FrozenPrefix | None = None
    on_features: bool = False
    from_logits: bool = False

    @property
    def logits(self) -> str:
        """The artifact name of the logits that it leaves beside its numbers."""
        return logits_name(self.solo_key, self.epoch, self.split)

    @property
    def produces(self) -> tuple[str, ...]:
        """Artifacts that later stages need; logits are none, as numbers do without."""
        return ()

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifacts that it needs, of the stages before it."""
        if self.from_logits:
            return (self.logits,)
        return (pixels_name(self.pixels_key), self.weights, *_features_of(self))

    def title(self) -> str:
        """Return what it does, in words."""
        on = " on features" if self.on_features else ""
        measures = f": {', '.join(self.measures)}" if self.measures else ""
        weights = f"{self.epoch} weights on {self.split}"
        if self.from_logits:
            return f"read logits of {_model(self.settings)}, {weights}{measures}"
        return f"evaluate {_model(self.settings)}{on}, {weights}{measures}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a database holds it."""
        return {
            "settings": self.settings.json,
            "pixels_key": self.pixels_key,
            "reading": self.solo_key,
            "trainings": list(self.trainings),
            "weights": self.weights,
            "split": self.split,
            "epoch": self.epoch,
            **({"measures": list(self.measures)} if self.measures else {}),
            **({} if self.epoch_number is None else {"epoch_number": self.epoch_number}),
            **_features_json(self),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyse(_Planned):
    """Looking at weights that a run has kept, as a spec's `analyses` ask.

    Attributes:
        settings: of the run.
        analysis: settings of the analysis; its ``name`` says which one.
        solo_key: what trainings call the run.
        trainings: keys of those that the run reads.
        weights: artifact name of the weights.
        epoch: which weights they are.
        epoch_number: of the weights, where the run is finished, so that it is known; else None.
        leaves_arrays: whether it leaves an artifact beside its values.
    """

    kind: ClassVar[StageKind] = "analyse"
    settings: ResolvedSettings
    analysis: ResolvedSettings
    pixels_key: str
    solo_key: str
    trainings: tuple[str, ...]
    weights: str
    epoch: KeptWeights
    epoch_number: int | None = None
    leaves_arrays: bool = False

    @property
    def name(self) -> str:
        """The name of the analysis, as `robustness`."""
        return str(self.analysis.json["name"])

    @property
    def produces(self) -> tuple[str, ...]:
        """Artifacts that later stages, pictures and people need."""
        return (analysis_name(self.key),) if self.leaves_arrays else ()

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifacts that it needs, of the stages before it."""
        return (pixels_name(self.pixels_key), self.weights)

    def title(self) -> str:
        """Return what it does, in words."""
        split = self.analysis.json.get("split")
        on = f" on {split}" if split else ""
        return f"{self.name} of {_model(self.settings)}, {self.epoch} weights{on}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a database holds it."""
        return {
            "settings": self.settings.json,
            "analysis": self.analysis.json,
            "pixels_key": self.pixels_key,
            "reading": self.solo_key,
            "trainings": list(self.trainings),
            "weights": self.weights,
            "epoch": self.epoch,
            **({} if self.epoch_number is None else {"epoch_number": self.epoch_number}),
            **({"leaves_arrays": True} if self.leaves_arrays else {}),
        }


Stage = Prepare | ExtractFeatures | Train | Evaluate | Analyse

AfterTraining = Evaluate | Analyse
"""Kinds that look at what one run has kept: they have its ``solo_key`` and its ``trainings``."""

SeesImages = Train | Evaluate
"""Kinds whose network sees images, or in their place the features of its frozen prefix."""


def multiply_adds_a_step(stage: ExtractFeatures | SeesImages | AfterTraining) -> int:
    """Return the multiply-adds of a stage's network for a batch of training."""
    return stage.multiply_adds * int(stage.settings.json.get("train", {}).get("batch_size", 1))


def _model(settings: ResolvedSettings) -> str:
    return str(settings.json["model"]["name"])


def _features_of(stage: Train | Evaluate) -> tuple[str, ...]:
    if not stage.on_features:
        return ()
    assert stage.prefix is not None, "features of a network without a frozen prefix"
    return (stage.prefix.name,)


def _features_json(stage: Train | Evaluate) -> dict[str, Any]:
    if not stage.on_features:
        return {}
    assert stage.prefix is not None, "features of a network without a frozen prefix"
    return {"features": stage.prefix.name, "prefix": stage.prefix.to_json()}

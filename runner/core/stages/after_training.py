"""Stages after training: evaluations and analyses of weights that one run has kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from runner.core.artifacts import analysis_name, logits_name, pixels_name
from runner.core.prefix import FrozenPrefix
from runner.core.reader import KeptWeights
from runner.core.run import ResolvedSettings
from runner.core.stages.planned import (
    PlannedStage,
    StageKind,
    features_json,
    features_of,
    model_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate(PlannedStage):
    """Measuring weights that a run has kept.

    Attributes:
        settings: of the run.
        solo_key: what trainings call the run.
        trainings: keys of those that the run reads.
        weights: artifact name of the weights.
        split: the images.
        epoch: which weights they are.
        measures: names of what is measured, () for the standard measures.
        metric: settings of the one own metric that is measured, whose stored name is in
            ``measures``; else None.
        called: what the spec calls it; in no key, and not stored.
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
    metric: ResolvedSettings | None = None
    called: str = ""
    epoch_number: int | None = None
    prefix: FrozenPrefix | None = None
    on_features: bool = False
    from_logits: bool = False

    @property
    def cost_units(self) -> int:
        """How often it takes the seconds that are known of its cost key: reading takes none."""
        return 0 if self.from_logits else 1

    @property
    def names(self) -> tuple[str, ...]:
        """What is measured, as people call it."""
        return (self.called,) if self.called else self.measures

    @property
    def logits(self) -> str:
        """The artifact name of the logits that it leaves beside its numbers."""
        return logits_name(self.solo_key, self.epoch, self.split)

    @property
    def produces(self) -> tuple[str, ...]:
        """Artifacts that later stages need; logits beside numbers are none: these do without."""
        return ()

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifacts that it needs, of the stages before it."""
        if self.from_logits:
            return (self.logits,)
        return (
            pixels_name(self.pixels_key),
            self.weights,
            *features_of(self.prefix, self.on_features),
        )

    def title(self) -> str:
        """Return what it does, in words."""
        on = " on features" if self.on_features else ""
        measures = f": {', '.join(self.names)}" if self.names else ""
        weights = f"{self.epoch} weights on {self.split}"
        if self.from_logits:
            return f"read logits of {model_of(self.settings)}, {weights}{measures}"
        return f"evaluate {model_of(self.settings)}{on}, {weights}{measures}"

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
            **({} if self.metric is None else {"metric": self.metric.json}),
            **({} if self.epoch_number is None else {"epoch_number": self.epoch_number}),
            **features_json(self.prefix, self.on_features),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyse(PlannedStage):
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
        called: what the spec calls it; in no key, and not stored.
        image_shape: channels, height, width of an image, where it needs the network alone; None
            where it looks at images, which say it.
        num_classes: of the data, likewise; else 0.
        changed_key: of the images that it changes, which analyses of one key have in common; ""
            where it changes none, or where that is not known; not stored.
        changed_bytes: disk that these take, about; not stored.
        logits: artifact name of the logits that are all it looks at, "" where it needs the network.
            Where they are gone it computes them from the weights, and leaves them.
        finds_logits: whether stages before it leave them, so that it is expected to compute none;
            not stored.
        from_logits: whether they lie there, so that it needs nothing else; not stored.
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
    called: str = ""
    image_shape: tuple[int, int, int] | None = None
    num_classes: int = 0
    changed_key: str = ""
    changed_bytes: int = 0
    logits: str = ""
    finds_logits: bool = False
    from_logits: bool = False

    @property
    def cost_units(self) -> int:
        """How often it takes the seconds that are known of its cost key: reading takes none."""
        return 0 if self.from_logits else 1

    @property
    def name(self) -> str:
        """The name of the analysis, as `robustness`."""
        return str(self.analysis.json["name"])

    @property
    def produces(self) -> tuple[str, ...]:
        """Artifacts that later stages, pictures and people need."""
        arrays = (analysis_name(self.key),) if self.leaves_arrays else ()
        return (*arrays, self.logits) if self.logits else arrays

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifacts that it needs, of the stages before it."""
        if self.from_logits:
            return (self.logits,)
        if self.image_shape is not None:
            return (self.weights,)
        return (pixels_name(self.pixels_key), self.weights)

    def title(self) -> str:
        """Return what it does, in words."""
        split = self.analysis.json.get("split")
        on = f" on {split}" if split else ""
        return f"{self.name} of {model_of(self.settings)}, {self.epoch} weights{on}"

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
            **self._image_json(),
            **({"logits": self.logits} if self.logits else {}),
        }

    def _image_json(self) -> dict[str, Any]:
        if self.image_shape is None:
            return {}
        return {"image_shape": list(self.image_shape), "num_classes": self.num_classes}

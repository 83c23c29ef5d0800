"""The stage that trains: epochs of one trajectory, for the runs that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from runner.core.artifacts import pixels_name, weights_name
from runner.core.prefix import FrozenPrefix
from runner.core.reader import Reader
from runner.core.run import ResolvedSettings
from runner.core.sharing import SHARED, Unshared
from runner.core.stages.planned import (
    PlannedStage,
    StageKind,
    features_json,
    features_of,
    model_of,
)
from runner.core.trajectory import Trajectory

HELD_BYTES = 1 << 27
"""The most that a training holds of logits on the host. Without a limit, that would be 4 bytes for
each image, class and epoch that a reader keeps: 0.4 MB for 10,000 images of 10 classes, 400 MB for
101,000 images of 1,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Train(PlannedStage):
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
            "" where that is not known, where nothing may be shared, or where own code takes the
            steps; in no other key, and not stored.
        unshared: why it shares less than others; where it shares nothing, it keeps no state and no
            checkpoint, and its trajectory is that of one run.
        evaluated: images that are evaluated after each epoch, as a share of all of the data set; 0
            where that is not known.
        epochs: the most epochs that it trains now.
        state_bytes: disk that the state at its end takes, about.
        logits_bytes: memory of the logits of one epoch that it keeps, 0 where that is not known.
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
    unshared: Unshared = SHARED
    evaluated: float = 0.0
    epochs: int = 0
    state_bytes: int = 0
    logits_bytes: int = 0
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
    def held_bytes(self) -> int:
        """The most memory that logits of its epochs take until it ends, about."""
        if self.logits_bytes > HELD_BYTES:
            return 0  # those of no epoch are held
        epochs = sum(len(reader.keeps) for reader in self.readers.values())
        return min(HELD_BYTES, self.logits_bytes * epochs)

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
        return (
            pixels_name(self.pixels_key),
            *start,
            *self.read_states,
            *features_of(self.prefix, self.on_features),
        )

    def title(self) -> str:
        """Return what it does, in words."""
        model, last = model_of(self.settings), self.last_epoch
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
            **features_json(self.prefix, self.on_features),
            **({"unshared": self.unshared.training} if self.unshared.training else {}),
        }

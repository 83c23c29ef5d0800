"""Stages before any training: images, and the output of frozen layers for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from runner.core.artifacts import pixels_name
from runner.core.prefix import FrozenPrefix
from runner.core.run import ResolvedSettings
from runner.core.stages.planned import PlannedStage, StageKind, model_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare(PlannedStage):
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
class ExtractFeatures(PlannedStage):
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
        return f"features of {model_of(self.settings)} up to {self.prefix.cut}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a database holds it."""
        return {
            "settings": self.settings.json,
            "pixels_key": self.pixels_key,
            "prefix": self.prefix.to_json(),
        }

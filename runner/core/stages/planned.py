"""What every stage has: its key, what it needs, what it costs; and words that kinds share.

Knows no kind of stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from runner.core.prefix import FrozenPrefix
from runner.core.run import ResolvedSettings

StageKind = Literal["prepare", "features", "train", "evaluate", "analyse"]
STAGE_KINDS: tuple[StageKind, ...] = get_args(StageKind)
"""In the order in which a run needs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
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


def model_of(settings: ResolvedSettings) -> str:
    """Return the name of a run's network."""
    return str(settings.json["model"]["name"])


def features_of(prefix: FrozenPrefix | None, on_features: bool) -> tuple[str, ...]:
    """Return the artifact that a network on features sees in the place of images."""
    if not on_features:
        return ()
    assert prefix is not None, "features of a network without a frozen prefix"
    return (prefix.name,)


def features_json(prefix: FrozenPrefix | None, on_features: bool) -> dict[str, Any]:
    """Return what a database holds of a network on features."""
    if not on_features:
        return {}
    assert prefix is not None, "features of a network without a frozen prefix"
    return {"features": prefix.name, "prefix": prefix.to_json()}

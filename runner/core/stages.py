"""The units of work of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

StageKind = Literal["prepare", "features", "train", "evaluate"]


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
    prefix: Stage | None = None
    prefix_unshared: str = ""

"""Stages as databases hold them: back from JSON to their classes.

Owns the reading; each class writes its own JSON. A new kind has its case here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from runner.core.prefix import FrozenPrefix
from runner.core.reader import Reader
from runner.core.run import ResolvedSettings
from runner.core.sharing import Unshared
from runner.core.stages import (
    Analyse,
    Evaluate,
    ExtractFeatures,
    Prepare,
    Stage,
    StageKind,
    Train,
)
from runner.core.trajectory import Trajectory


def stage_from_json(
    kind: StageKind,
    key: str,
    values: Mapping[str, Any],
    needs: Sequence[str] = (),
    cost_key: str = "",
) -> Stage:
    """Return a stage as a database holds it, with all epochs of its own to train.

    Args:
        kind: of the stage.
        key: of the stage.
        values: what ``to_json`` returned.
        needs: keys of the stages that come before it.
        cost_key: stages of one cost key cost the same an epoch on one device.

    Raises:
        KeyError: for values that lack something.
    """
    match kind:
        case "prepare":
            return Prepare(
                key=key,
                needs=tuple(needs),
                cost_key=cost_key,
                pixels_key=values["pixels_key"],
                data=ResolvedSettings(values["data"]),
            )
        case "features":
            return ExtractFeatures(
                key=key,
                needs=tuple(needs),
                cost_key=cost_key,
                settings=ResolvedSettings(values["settings"]),
                pixels_key=values["pixels_key"],
                prefix=FrozenPrefix.from_json(values["prefix"]),
            )
        case "train":
            return _train_from_json(key, values, needs, cost_key)
        case "analyse":
            return _analyse_from_json(key, values, needs, cost_key)
        case "evaluate":
            return Evaluate(
                key=key,
                needs=tuple(needs),
                cost_key=cost_key,
                num_bytes=0,
                settings=ResolvedSettings(values["settings"]),
                pixels_key=values["pixels_key"],
                solo_key=values["reading"],
                trainings=tuple(values["trainings"]),
                weights=values["weights"],
                split=values["split"],
                epoch=values["epoch"],
                measures=tuple(values.get("measures", ())),
                metric=ResolvedSettings(values["metric"]) if "metric" in values else None,
                epoch_number=values.get("epoch_number"),
                prefix=_prefix_from_json(values),
                on_features="features" in values,
            )
        case _:
            assert_never(kind)


def _train_from_json(
    key: str, values: Mapping[str, Any], needs: Sequence[str], cost_key: str
) -> Train:
    trajectory, recorded = Trajectory.from_json(values["path"]), values.get("recorded")
    first = values["first_epoch"]
    return Train(
        key=key,
        needs=tuple(needs),
        cost_key=cost_key,
        settings=ResolvedSettings(values["settings"]),
        pixels_key=values["pixels_key"],
        trajectory=trajectory,
        readers={name: Reader.from_json(each) for name, each in values["readers"].items()},
        first_epoch=first,
        start=values["start"],
        recorded=recorded,
        prefix=_prefix_from_json(values),
        on_features="features" in values,
        unshared=Unshared(values.get("unshared", "")),
        epochs=trajectory.last_epoch - first + 1 if recorded is None else 0,
    )


def _analyse_from_json(
    key: str, values: Mapping[str, Any], needs: Sequence[str], cost_key: str
) -> Analyse:
    return Analyse(
        key=key,
        needs=tuple(needs),
        cost_key=cost_key,
        settings=ResolvedSettings(values["settings"]),
        analysis=ResolvedSettings(values["analysis"]),
        pixels_key=values["pixels_key"],
        solo_key=values["reading"],
        trainings=tuple(values["trainings"]),
        weights=values["weights"],
        epoch=values["epoch"],
        epoch_number=values.get("epoch_number"),
        leaves_arrays=values.get("leaves_arrays", False),
        image_shape=tuple(values["image_shape"]) if "image_shape" in values else None,
        num_classes=values.get("num_classes", 0),
        logits=values.get("logits", ""),
    )


def _prefix_from_json(values: Mapping[str, Any]) -> FrozenPrefix | None:
    if "features" not in values:
        return None
    return FrozenPrefix.from_json(values["prefix"], values["features"])

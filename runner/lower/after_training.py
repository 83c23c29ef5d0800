"""Stages after training that a run does not have by itself: what tables and analyses ask for.

They are no part of a run: their keys hold that of its training, and no key of the run holds theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from runner.components.analyses import with_weights
from runner.components.analyses.analysis import AnalysisSettings
from runner.components.component import canonical_settings, keyed_settings, keyed_text
from runner.components.own_metric import OwnMetric
from runner.components.resolved import typed_settings
from runner.components.settings import metric_split, splits_with_logits
from runner.core.artifacts import logits_name, weights_name
from runner.core.keys import canonical_array, canonical_json, content_key, text_key
from runner.core.reader import KeptWeights
from runner.core.run import ResolvedSettings
from runner.core.stages import Analyse, Evaluate, Stage, Train
from runner.lower.stages import UNKNOWN, Sizes, evaluation_cost_key


def measurement(
    train: Train,
    split: str,
    epoch: KeptWeights,
    measures: Sequence[str],
    epoch_number: int | None = None,
    left_by: Sequence[str] = (),
    sizes: Sizes = UNKNOWN,
) -> Evaluate:
    """Return the evaluation of further measures on weights that a run keeps.

    Args:
        train: what the run would do by itself.
        split: the images.
        epoch: which weights.
        measures: names of what is measured.
        epoch_number: of the weights of a finished run; nothing is to be trained for it then.
        left_by: keys of stages of a run without a result that leave these logits before it.
        sizes: what the stages of the run will take.
    """
    names = tuple(sorted(measures))
    cost_key = evaluation_cost_key(train.cost_key)
    if split != "test":
        cost_key = content_key("cost", [cost_key, split])
    if left_by:  # logits are read, which says nothing of what a pass takes
        cost_key = content_key("cost", ["logits", cost_key])
    needs = train.needs if epoch_number is not None else (*train.needs, train.key, *left_by)
    return Evaluate(
        key=content_key("evaluate", [train.key, split, epoch, list(names)]),
        needs=tuple(dict.fromkeys(needs)),
        cost_key=cost_key,
        num_bytes=0 if left_by else sizes.logits.get(split),
        multiply_adds=train.multiply_adds,
        settings=train.settings,
        pixels_key=train.pixels_key,
        solo_key=train.key,
        trainings=() if epoch_number is not None else (train.key,),
        weights=weights_name(train.key, epoch),
        split=split,
        epoch=epoch,
        measures=names,
        epoch_number=epoch_number,
        prefix=train.prefix,
    )


def own_measurement(measured: Evaluate, metric: OwnMetric, called: str) -> Evaluate:
    """Return an evaluation as that of an own metric.

    Args:
        measured: of the metric's key, as :func:`measurement` returns it.
        metric: its settings.
        called: what the spec calls it.
    """
    settings = ResolvedSettings(canonical_settings(metric), metric)
    return replace(measured, metric=settings, called=called)


def leaves_logits(stage: Stage, split: str, epoch: KeptWeights) -> bool:
    """Return whether a stage of a run keeps the logits of its kept weights beside its numbers."""
    if isinstance(stage, Evaluate):
        return (stage.split, stage.epoch) == (split, epoch)
    return isinstance(stage, Train) and split in splits_with_logits(typed_settings(stage.settings))


def analyse(
    chain: Sequence[Stage],
    analysis: AnalysisSettings,
    epoch: KeptWeights,
    epoch_number: int | None = None,
    called: str = "",
    shape: tuple[int, int, int] | None = None,
    num_classes: int = 0,
    sizes: Sizes = UNKNOWN,
) -> Analyse:
    """Return the analysis of weights that a run keeps.

    One of logits comes after what of an unfinished run leaves them.

    Args:
        chain: what the run would do by itself.
        analysis: what is looked at.
        epoch: which weights.
        epoch_number: of the weights of a finished run; nothing is to be trained for it then.
        called: what the spec calls it.
        shape: channels, height, width of an image, None where that is not known.
        num_classes: of the data, likewise; else 0.
        sizes: what the stages of the run will take.
    """
    train = next(stage for stage in chain if isinstance(stage, Train))
    shared = _shared_settings(analysis, epoch)
    alone = shape is not None and not analysis.NEEDS_IMAGES
    needs = () if alone else train.needs
    needs = needs if epoch_number is not None else (*needs, train.key)
    logits, left_by = "", list[str]()
    cost_key = _key_of("cost", ["analyse", train.cost_key], shared.keyed)
    num_bytes = None if analysis.LEAVES_ARRAYS else 0
    if analysis.FROM_LOGITS and (images := analysis.looks_at()) is not None:
        split = metric_split(images)
        logits = logits_name(train.key, epoch, split)
        if epoch_number is None:
            left_by = [stage.key for stage in chain if leaves_logits(stage, split, epoch)]
        if left_by:  # logits are read, which says nothing of what a pass takes
            cost_key = content_key("cost", ["logits", cost_key])
        else:
            num_bytes = sizes.logits.get(split)
    changed_key, changed_bytes = _changed(analysis, shared, train, sizes)
    return Analyse(
        key=_stage_key(train.key, epoch, shared.keyed),
        needs=tuple(dict.fromkeys((*needs, *left_by))),
        cost_key=cost_key,
        num_bytes=num_bytes,
        multiply_adds=train.multiply_adds,
        settings=train.settings,
        analysis=shared.resolved,
        pixels_key=train.pixels_key,
        solo_key=train.key,
        trainings=() if epoch_number is not None else (train.key,),
        weights=weights_name(train.key, epoch),
        epoch=epoch,
        epoch_number=epoch_number,
        leaves_arrays=analysis.LEAVES_ARRAYS,
        called=called,
        image_shape=shape if alone else None,
        num_classes=num_classes if alone else 0,
        changed_key=changed_key,
        changed_bytes=changed_bytes,
        logits=logits,
        finds_logits=bool(left_by),
    )


def kept_analysis(
    solo_key: str,
    analysis: AnalysisSettings,
    epoch: KeptWeights,
    epoch_number: int,
    settings: ResolvedSettings,
    pixels_key: str,
    multiply_adds: int,
) -> Analyse:
    """Return the analysis of images by weights that are there, which no plan has to ask for.

    It has the key that a plan gives it.

    Args:
        solo_key: what trainings call the run.
        analysis: what is looked at.
        epoch: which weights.
        epoch_number: of them.
        settings: of the run.
        pixels_key: of its images.
        multiply_adds: of its network for one image.
    """
    shared = _shared_settings(analysis, epoch)
    return Analyse(
        key=_stage_key(solo_key, epoch, shared.keyed),
        needs=(),
        cost_key="",
        multiply_adds=multiply_adds,
        settings=settings,
        analysis=shared.resolved,
        pixels_key=pixels_key,
        solo_key=solo_key,
        trainings=(),
        weights=weights_name(solo_key, epoch),
        epoch=epoch,
        epoch_number=epoch_number,
        leaves_arrays=analysis.LEAVES_ARRAYS,
    )


def _stage_key(solo_key: str, epoch: KeptWeights, keyed: str) -> str:
    """Return the key of an analysis of weights; ``keyed`` is the JSON of its settings in keys."""
    return _key_of("analyse", [solo_key, epoch], keyed)


@dataclass(frozen=True, slots=True)
class _SharedSettings:
    """What the settings of an analysis of kept weights say in every run.

    Attributes:
        resolved: the settings.
        keyed: the JSON of them that enters keys.
        changes: how often each image is changed.
        changing: digest of all that decides what images become, beside the images.
    """

    resolved: ResolvedSettings
    keyed: str
    changes: int
    changing: str


@lru_cache(maxsize=1 << 10)
def _shared_settings(analysis: AnalysisSettings, epoch: KeptWeights) -> _SharedSettings:
    """Return what a thousand runs have alike of an analysis, which may hold a hundred transforms:
    made once, and held once.
    """
    of_any = keyed_settings(analysis)
    of_any.pop("weights", None)
    analysis = with_weights(analysis, epoch)
    return _SharedSettings(
        ResolvedSettings(canonical_settings(analysis), analysis),
        keyed_text(analysis),
        analysis.num_changes(),
        content_key("changing", of_any),
    )


def _changed(
    analysis: AnalysisSettings, shared: _SharedSettings, train: Train, sizes: Sizes
) -> tuple[str, int]:
    """Return a key of the images that an analysis changes, and the bytes that they take, about.

    Runs on one data set have them in common; ("", 0) where there are none, or none are known.
    """
    split = analysis.looks_at()
    if split is None or not shared.changes or not sizes.images:
        return "", 0
    data = canonical_json(train.settings.json["data"])
    key = text_key("changed", canonical_array([canonical_json(shared.changing), data]))
    return key, round(sizes.images[split] * sizes.image * shared.changes)


def _key_of(kind: str, values: Sequence[str], keyed: str) -> str:
    """Return the `content_key` of a list of texts and, as its last, settings given as JSON."""
    return text_key(kind, canonical_array([*map(canonical_json, values), keyed]))

"""Runs and their naive chains of stages: prepare, train, evaluate.

Each run gets a chain of its own; that equal stages have equal keys is used later, by rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from runner.components.component import Component, canonical_settings, keyed_settings
from runner.components.data.dataset import DatasetSettings
from runner.components.settings import Settings
from runner.core.keys import content_key
from runner.core.plan import Plan
from runner.core.reader import reader_values
from runner.core.run import Cell, Run
from runner.core.stages import FrozenPrefix, Stage
from runner.lower.trajectory import (
    data_key,
    make_reader,
    make_segments,
    num_views,
    pixels_key,
    reading_values,
    run_key,
)
from runner.spec.resolve import settings_key


def make_run(
    settings: Settings, fingerprint: str, weights: str = "", cell: Cell | None = None
) -> Run:
    """Return the run of resolved settings on data with this fingerprint.

    Args:
        settings: all of them.
        fingerprint: of the data.
        weights: digest of the pretrained tensors that are loaded, "" without.
        cell: that has these settings; what it says of them is not worked out again.
    """
    key = settings_key(settings) if cell is None else cell.settings_key
    return Run(
        run_key=run_key(key, fingerprint, weights),
        settings_key=key,
        settings=canonical_settings(settings) if cell is None else cell.settings,
        data_key=data_key(settings, fingerprint),
        fingerprint=fingerprint,
        reader=make_reader(settings),
        weights=weights,
    )


def naive_chain(
    run: Run, settings: Settings, rerun: int = 0, prefix: FrozenPrefix | None = None
) -> tuple[Stage, ...]:
    """Return the stages of one run, parents first.

    Args:
        run: the run.
        settings: its settings.
        rerun: repetition; above 0, training and evaluation get keys of their own, so that nothing
            computed before counts as done.
        prefix: the frozen part with which its network begins, or None. No stage of the chain
            computes it once for all; the stages that could use that hold it for the planner, or
            why they cannot.
    """
    prepare = _prepare(settings.data, run.fingerprint)
    views, features, unshared = num_views(settings), None, ""
    if prefix is not None and views is None:
        unshared = "the images are augmented"
    elif prefix is not None:
        features = _features(run, prepare, prefix, views or 1)
    train = _train(run, settings, prepare, rerun)
    if prefix is not None:
        train = replace(train, prefix=features, prefix_unshared=unshared)
    if run.reader.wants_test in ("never", "each_epoch"):
        return (prepare, train)
    return (prepare, train, _evaluate(run, train, features))


def naive_plan(chains: Iterable[tuple[Run, tuple[Stage, ...]]]) -> Plan:
    """Return the plan that does every chain by itself."""
    pairs = list(chains)
    return Plan(
        stages=tuple(stage for _, chain in pairs for stage in chain),
        reads={run.run_key: tuple(stage.key for stage in chain) for run, chain in pairs},
    )


@lru_cache(maxsize=1 << 10)
def _prepare(data: DatasetSettings, fingerprint: str) -> Stage:
    pixels = pixels_key(data, fingerprint)
    return Stage(
        key=content_key("prepare", pixels),
        kind="prepare",
        spec={"pixels_key": pixels, "data": canonical_settings(data)},
        produces=(pixels_artifact(pixels),),
        cost_kind=content_key("cost", ["prepare", pixels]),
    )


def _features(run: Run, prepare: Stage, prefix: FrozenPrefix, views: int) -> Stage:
    described = {"cut": prefix.cut, "shape": list(prefix.shape)}
    return Stage(
        key=content_key("stage", prefix.key),
        kind="features",
        spec={
            "settings": run.settings,
            "pixels_key": prepare.spec["pixels_key"],
            "prefix": described if views == 1 else {**described, "views": views},
        },
        needs=(prepare.key,),
        produces=(features_artifact(prefix.key),),
        consumes=prepare.produces,
        cost_kind=content_key("cost", ["features", prefix.key]),
    )


def _train(run: Run, settings: Settings, prepare: Stage, rerun: int) -> Stage:
    segments = make_segments(settings, run.fingerprint, run.weights, rerun)
    key = content_key("train", [[each.key for each in segments], reading_values(settings)])
    kept = ("best", "last") if run.reader.wants_test == "last" else ("best",)
    return Stage(
        key=key,
        kind="train",
        spec={
            "settings": run.settings,
            "pixels_key": prepare.spec["pixels_key"],
            "readers": {key: reader_values(run.reader)},
            "first_epoch": 1,
            "start": "",
            "path": [
                {
                    "key": segment.key,
                    "first_epoch": segment.first_epoch,
                    "num_epochs": segment.num_epochs,
                }
                for segment in segments
            ],
        },
        needs=(prepare.key,),
        produces=tuple(weights_artifact(key, which) for which in kept),
        consumes=prepare.produces,
        cost_kind=_train_cost_kind(run, settings),
        epochs=run.reader.budget,
    )


def _train_cost_kind(run: Run, settings: Settings) -> str:
    """Return the key of all that decides the seconds of one epoch."""
    train = settings.train
    others = (
        run.data_key,
        train.batch_size,
        train.drop_last,
        train.optimizer.name,
        train.precision,
        run.reader.wants_test == "each_epoch",
        settings.evaluate.train_eval,
    )
    return _cost_kind(settings.model, others, train.augment)


@lru_cache(maxsize=1 << 10)
def _cost_kind(model: Component, others: tuple[Any, ...], augment: Component | None) -> str:
    keyed = keyed_settings(model)
    keyed.pop("weights", None)
    augmented = [] if augment is None else [keyed_settings(augment)]
    return content_key("cost", ["train", keyed, *others, *augmented])


@lru_cache(maxsize=1 << 10)
def _evaluation_cost_kind(train_cost_kind: str) -> str:
    return content_key("cost", ["evaluate", train_cost_kind])


def _evaluate(run: Run, train: Stage, features: Stage | None) -> Stage:
    epoch = "last" if run.reader.wants_test == "last" else "best"
    return Stage(
        key=content_key("evaluate", [train.key, "test", epoch]),
        kind="evaluate",
        spec={
            "settings": run.settings,
            "pixels_key": train.spec["pixels_key"],
            "reading": train.key,
            "trainings": [train.key],
            "weights": train.produces[-1],
            "split": "test",
            "epoch": epoch,
        },
        needs=(train.needs[0], train.key),
        consumes=(*train.consumes, train.produces[-1]),
        cost_kind=_evaluation_cost_kind(train.cost_kind),
        num_bytes=0,
        prefix=features,
    )


def pixels_artifact(key: str) -> str:
    """Return the artifact name of decoded images."""
    return f"pixels/{key}"


def features_artifact(key: str) -> str:
    """Return the artifact name of a frozen prefix's output for all images."""
    return f"features/{key}"


def weights_artifact(reading: str, which: str) -> str:
    """Return the artifact name of the ``best`` or ``last`` weights that a run keeps."""
    return f"weights/{reading}-{which}"

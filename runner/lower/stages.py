"""Runs and their naive chains of stages: prepare, train, evaluate.

Each run gets a chain of its own; that equal stages have equal keys is used later, by rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from runner.components.component import Component, canonical_settings, keyed_settings
from runner.components.data.dataset import DatasetSettings
from runner.components.data.splitting import Split
from runner.components.resolved import settings_key
from runner.components.settings import METRIC_SPLITS, Settings, splits_with_logits
from runner.core.artifacts import weights_name
from runner.core.keys import content_key, text_key
from runner.core.plan import Plan
from runner.core.prefix import FrozenPrefix
from runner.core.run import Cell, ResolvedSettings, Run
from runner.core.sharing import SHARED, Unshared
from runner.core.stages import Analyse, Evaluate, Prepare, Stage, Train
from runner.lower.trajectory import (
    data_key,
    make_reader,
    make_trajectory,
    pixels_key,
    reader_text,
    run_key,
    stream_key,
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the stages of a run will take: bytes on the disk, None where not known yet, and images.

    Attributes:
        pixels: of the decoded images.
        weights: of the weights after an epoch.
        state: of the state at the end of a training, about.
        evaluated: images that are evaluated after each epoch, as a share of all; 0 where not known.
        multiply_adds: of the network for one image.
        images: of each split, about; empty where not known.
        image: of one decoded image.
        logits: of the logits after an epoch, by split (``train_eval``, ``val``, ``test``), with
            what stands beside them, about; empty where not known.
        outputs: of the network for one image.
    """

    pixels: int | None = None
    weights: int | None = None
    state: int = 0
    evaluated: float = 0.0
    multiply_adds: int = 0
    images: Mapping[Split, float] = field(default_factory=dict)
    image: int = 0
    logits: Mapping[str, int] = field(default_factory=dict)
    outputs: int = 0


UNKNOWN = Sizes()


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
    values = canonical_settings(settings) if cell is None else cell.settings
    return Run(
        run_key=run_key(key, fingerprint, weights),
        settings_key=key,
        settings=ResolvedSettings(values, settings),
        data_key=data_key(settings, fingerprint),
        fingerprint=fingerprint,
        reader=make_reader(settings),
        weights=weights,
    )


def naive_chain(
    run: Run,
    settings: Settings,
    rerun: int = 0,
    prefix: FrozenPrefix | None = None,
    sizes: Sizes = UNKNOWN,
    unshared: Unshared = SHARED,
) -> tuple[Stage, ...]:
    """Return the stages of one run, parents first.

    Args:
        run: the run.
        settings: its settings.
        rerun: repetition; above 0, training and evaluation get keys of their own, so that nothing
            computed before counts as done.
        prefix: the frozen part with which its network begins, or None. No stage of the chain
            computes it once for all: that is for the planner.
        sizes: what the stages will take.
        unshared: why its training shares less than others.
    """
    prepare = _prepare(settings.data, run.fingerprint, sizes.pixels)
    train = replace(_train(run, settings, prepare, rerun, sizes, unshared), prefix=prefix)
    if run.reader.wants_test in ("never", "each_epoch"):
        return (prepare, train)
    return (prepare, train, _evaluate(run, train, sizes))


def naive_plan(
    chains: Iterable[tuple[Run, tuple[Stage, ...]]],
    measurements: Mapping[str, Sequence[Evaluate]] = MappingProxyType({}),
    analyses: Mapping[str, Sequence[Analyse]] = MappingProxyType({}),
) -> Plan:
    """Return the plan that does every chain by itself.

    Args:
        chains: of all wanted runs.
        measurements: evaluations that tables ask for, by the key of their run.
        analyses: that specs ask for, likewise.
    """
    pairs = list(chains)
    stages = [stage for _, chain in pairs for stage in chain]
    stages += [stage for asked in measurements.values() for stage in asked]
    stages += [stage for asked in analyses.values() for stage in asked]
    return Plan(
        stages=tuple(stages),
        stages_by_run={run.run_key: tuple(stage.key for stage in chain) for run, chain in pairs},
        measurements={
            run: tuple(each.key for each in asked) for run, asked in measurements.items()
        },
        analyses={run: tuple(each.key for each in asked) for run, asked in analyses.items()},
    )


@lru_cache(maxsize=1 << 10)
def _prepare(data: DatasetSettings, fingerprint: str, num_bytes: int | None) -> Prepare:
    pixels = pixels_key(data, fingerprint)
    return Prepare(
        key=content_key("prepare", pixels),
        cost_key=content_key("cost", ["prepare", pixels]),
        num_bytes=num_bytes,
        pixels_key=pixels,
        data=ResolvedSettings(canonical_settings(data), data),
    )


def _train(
    run: Run,
    settings: Settings,
    prepare: Prepare,
    rerun: int,
    sizes: Sizes,
    unshared: Unshared,
) -> Train:
    alone = run.run_key if unshared.training else ""
    trajectory = make_trajectory(settings, run.fingerprint, run.weights, rerun, alone)
    segments = ",".join(f'"{each.key}"' for each in trajectory.segments)
    key = text_key("train", f"[[{segments}],{reader_text(settings)}]")
    splits = splits_with_logits(settings)
    kept = sizes.weights
    if kept is not None:
        kept = (kept + sum(sizes.logits.get(split, 0) for split in splits)) * len(run.reader.keeps)
    evaluated = sum(sizes.images.get(METRIC_SPLITS[split], 0.0) for split in splits)
    return Train(
        key=key,
        needs=(prepare.key,),
        cost_key=_train_cost_key(run, settings),
        num_bytes=kept,
        multiply_adds=sizes.multiply_adds,
        settings=run.settings,
        pixels_key=prepare.pixels_key,
        trajectory=trajectory,
        readers={key: run.reader},
        stream="" if alone or settings.train.step else stream_key(settings, run.fingerprint),
        unshared=unshared,
        evaluated=sizes.evaluated,
        epochs=run.reader.budget,
        state_bytes=0 if alone else sizes.state,
        logits_bytes=round(4 * sizes.outputs * evaluated),
    )


def _train_cost_key(run: Run, settings: Settings) -> str:
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
    return _cost_key(settings.model, others, train.augment, train.step)


@lru_cache(maxsize=1 << 10)
def _cost_key(model: Component, others: tuple[Any, ...], *more: Component | None) -> str:
    keyed = keyed_settings(model)
    keyed.pop("weights", None)
    given = [keyed_settings(each) for each in more if each is not None]
    return content_key("cost", ["train", keyed, *others, *given])


@lru_cache(maxsize=1 << 10)
def evaluation_cost_key(train_cost_key: str) -> str:
    """Return the key of all that decides the seconds of a pass over the test images."""
    return content_key("cost", ["evaluate", train_cost_key])


def _evaluate(run: Run, train: Train, sizes: Sizes) -> Evaluate:
    epoch = run.reader.keeps[-1]
    return Evaluate(
        key=content_key("evaluate", [train.key, "test", epoch]),
        needs=(*train.needs, train.key),
        cost_key=evaluation_cost_key(train.cost_key),
        num_bytes=sizes.logits.get("test"),
        multiply_adds=train.multiply_adds,
        settings=run.settings,
        pixels_key=train.pixels_key,
        solo_key=train.key,
        trainings=(train.key,),
        weights=weights_name(train.key, epoch),
        split="test",
        epoch=epoch,
        prefix=train.prefix,
    )

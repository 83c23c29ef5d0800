"""What stages will take before any is done: bytes on the disk, seconds by a probe."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from runner.bind.model_checks import BoundModel
from runner.components.data.dataset import ImageSource
from runner.components.models.classifier import num_outputs
from runner.components.optimizers import numbers_per_weight
from runner.components.settings import METRIC_SPLITS, Settings, evaluated_each_epoch
from runner.core.gains import PrecisionGain
from runner.core.stages import Stage, Train
from runner.engine.kept_logits import logits_bytes
from runner.lower.stages import Sizes

if TYPE_CHECKING:
    from runner.bind.bound_cell import BoundCell
    from runner.engine.numerics import Numerics


def stage_sizes(
    settings: Settings, source: ImageSource | None, bound_model: BoundModel | None
) -> Sizes:
    """Return what the stages of a run will take, as far as its data is known.

    Args:
        settings: of the run.
        source: its images, None where they are not there.
        bound_model: what is known of its network with them.
    """
    if bound_model is None or source is None:
        return Sizes()
    weights = 4 * bound_model.parameters
    # a state holds the network, its best weights and what the optimizer keeps
    kept = 2 + numbers_per_weight(settings.train.optimizer)
    pixels = len(source.names) * math.prod(bound_model.shape)
    images = settings.data.split_sizes(len(source.names), source.official)
    outputs = num_outputs(settings.model, len(source.classes))
    return Sizes(
        pixels=pixels,
        weights=weights,
        state=weights * kept,
        evaluated=evaluated_each_epoch(settings, images) / len(source.names),
        multiply_adds=bound_model.multiply_adds,
        images=images,
        image=math.prod(bound_model.shape),
        logits={
            name: logits_bytes(images[split], outputs, source.name_length)
            for name, split in METRIC_SPLITS.items()
        },
        outputs=outputs,
    )


def probed_seconds(
    chains: Iterable[tuple[BoundCell, Iterable[Stage]]],
    known: Mapping[str, float],
    numerics: Numerics,
    together: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, float]:
    """Return seconds by cost key: the known ones, and others measured on a few images now.

    Args:
        chains: stages to be done, with the cell whose data and network they are timed on; cells
            whose data is not there are passed over.
        known: seconds that are recorded.
        numerics: of this process, on the device where they are measured.
        together: with how many a training is done together, itself among them, by its key.
    """
    from runner.engine.probe import Probe

    seconds = dict(known)
    for cell, stages in chains:
        if cell.bound_model is None or cell.source is None:
            continue
        probe = Probe(cell.resolved.settings, cell.source, cell.bound_model.shape, numerics)
        for stage in stages:
            if stage.cost_key not in seconds:
                seconds[stage.cost_key] = probe.seconds(stage, together.get(stage.key, 1))
    return seconds


def precision_gains(
    chains: Iterable[tuple[BoundCell, Iterable[Stage]]], numerics: Numerics
) -> tuple[PrecisionGain, ...]:
    """Return what the trainings among stages would gain from another precision, measured now.

    Trainings of equal cost are measured once.

    Args:
        chains: stages to be done, as for :func:`probed_seconds`.
        numerics: of this process, on the device where they are measured.
    """
    from runner.engine.paired_steps import precision_gains
    from runner.engine.probe import Probe

    keys: dict[str, dict[str, None]] = {}
    gains: list[tuple[str, PrecisionGain]] = []
    for cell, stages in chains:
        if cell.bound_model is None or cell.source is None:
            continue
        probe = Probe(cell.resolved.settings, cell.source, cell.bound_model.shape, numerics)
        for stage in stages:
            if not isinstance(stage, Train) or not stage.epochs:
                continue  # what is read from records is not computed
            if stage.cost_key not in keys:
                gains += [(stage.cost_key, gain) for gain in precision_gains(probe, stage)]
            keys.setdefault(stage.cost_key, {})[stage.key] = None
    return tuple(replace(gain, stages=tuple(keys[cost])) for cost, gain in gains)

"""Steps of one training in two precisions, timed in turn: what the other one would gain here.

Owns how pairs are measured. They alternate, and the middle half of them says how far the result can
be trusted. On a CPU it is CPU seconds of one thread: what else the machine does counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import torch

from runner.components.settings import Precision
from runner.core.gains import PrecisionGain
from runner.core.stages import Train
from runner.engine.arithmetic import uses_tf32
from runner.engine.memory import keep_freed_memory
from runner.engine.numerics import on_threads
from runner.engine.probe import Probe, Steps

PAIRS = 5
FEWER_PAIRS = 3
"""Of steps that take over a second."""
SPAN = 0.05
"""Seconds that steps are timed for at least, so that the clock is exact enough."""
MOST_STEPS = 100


def precision_gains(probe: Probe, stage: Train) -> Iterator[PrecisionGain]:
    """Yield what the trainings of a stage would gain from each other precision; takes seconds."""
    keep_freed_memory()  # as in the stage itself
    for other in _others(probe.device, probe.settings.train.precision):
        with on_threads(1):
            yield _gain(probe, stage, other)


def _others(device: torch.device, precision: Precision) -> tuple[Precision, ...]:
    if device.type == "mps":
        return ()
    if precision == "bf16":
        return ("fp32",)
    faster: tuple[Precision, ...] = ("tf32", "bf16") if uses_tf32(device, "tf32") else ("bf16",)
    return tuple(each for each in faster if each != precision)


def _gain(probe: Probe, stage: Train, other: Precision) -> PrecisionGain:
    train = probe.settings.train
    changed = train.model_copy(update={"precision": other})
    settings = probe.settings.model_copy(update={"train": changed})
    sides = [_steps(each, stage) for each in (probe, replace(probe, settings=settings))]
    augmenting = 0.0 if stage.trains_on_features else probe.seconds_an_augmentation()
    slowest = max(
        steps.seconds(1, in_cpu_time=True) for steps in sides
    )  # with what only a first step does
    counts = [_steps_for(steps) for steps in sides]
    ratios = []
    for pair in range(FEWER_PAIRS if slowest > 1 else PAIRS):
        taken = [0.0, 0.0]
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            taken[side] = sides[side].seconds(counts[side], in_cpu_time=True) + augmenting
        ratios.append(taken[0] / taken[1])
    ratios.sort()
    quarter = len(ratios) // 4
    return PrecisionGain(
        model=probe.settings.model.name,
        precision=train.precision,
        other=other,
        times=median(ratios),
        low=ratios[quarter],
        high=ratios[-1 - quarter],
    )


def _steps(probe: Probe, stage: Train) -> Steps:
    return Steps(probe, *probe.network(stage.trains_on_features))


def _steps_for(steps: Steps) -> int:
    """Return how many steps are timed at once."""
    return min(MOST_STEPS, max(1, math.ceil(SPAN / max(steps.seconds(1, in_cpu_time=True), 1e-6))))

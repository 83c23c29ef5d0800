"""The steps of an epoch, for one training or for several that see the same batches.

Each batch is made once, and goes once through a frozen prefix that all have; then each training
takes its own step on it, as it would alone. Owns what a step of one may not do to the others, and
how their time is divided.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count

import torch
from torch import Tensor, nn

from runner.engine.stages.evaluate import autocast
from runner.engine.training.loop import Training

Left = Callable[[Training, Exception | None], None]
"""Told of a training that takes no further step of an epoch, as soon as that is known: for an
error, or None where its loss is not finite."""


def take_steps(trainings: Sequence[Training], left: Left) -> None:
    """Take the steps of an epoch; afterwards each training that has not left is to be finished.

    Args:
        trainings: all before the same epoch, on equal batches.
        left: see ``Left``; what it raises ends the steps of all.
    """
    prefix = _common_prefix(trainings)
    active = []
    for each in trainings:
        try:
            each.begin(behind_prefix=prefix is not None)
        except Exception as error:
            left(each, error)
        else:
            active.append(each)
    if not active:
        return
    first = 1 + min(each.taken for each in active)
    last = time.perf_counter()
    # closed also when stopped: nothing goes on with them
    with closing(active[0].batches(first)) as batches:
        for step in count(first):
            try:
                inputs, labels = next(batches)
                if prefix is not None:
                    inputs = _features(prefix, inputs, active[0].settings.train.precision)
            except StopIteration:
                return
            except Exception as error:
                _all_leave(active, error, left)
                return
            now = time.perf_counter()
            shared, last, final = (now - last) / len(active), now, active[-1]
            for each in active:
                if step <= each.taken:  # before it was stopped
                    continue
                take = _step if each is final else _step_of_several
                how = take(each, step, inputs, labels)
                if how is None:
                    _all_leave(active, RuntimeError(WRITTEN), left)
                    return
                if len(trainings) > 1:
                    each.state.optimizer.zero_grad(set_to_none=True)  # not held by all at once
                now = time.perf_counter()
                each.seconds += shared + now - last
                last = now
                if how is not True:
                    active = [other for other in active if other is not each]
                    try:
                        left(each, how or None)
                    finally:
                        how = True  # an error holds this frame, which must not hold the error
                    last = time.perf_counter()
            if not active:
                return


WRITTEN = (
    "a network wrote into a batch that other trainings see, though it had not before;"
    " --disable train_together does each by itself"
)


def _step(each: Training, step: int, inputs: Tensor, labels: Tensor) -> bool | Exception | None:
    """Take a step; return whether another makes sense, or the error that it ended with."""
    try:
        return each.step(step, inputs, labels)
    except Exception as error:
        return error


def _step_of_several(
    each: Training, step: int, inputs: Tensor, labels: Tensor
) -> bool | Exception | None:
    """Take a step on a batch that others see after it; None where they can not.

    A network that writes into its batches, as an activation in place may, has copies of them.
    """
    own = inputs if each.writes_inputs is False else _copy(inputs)
    before, versions = inputs._version, own._version
    how = _step(each, step, own, labels)
    if each.writes_inputs is None:
        each.writes_inputs = own._version != versions
    try:
        return how if inputs._version == before else None
    finally:
        del how  # as in `take_steps`


def _copy(inputs: Tensor) -> Tensor:
    """Return a copy that lies in memory as its original does, so that it is computed with alike.

    What holds one number for several, torch lets nobody write into.
    """
    if 0 in inputs.stride():
        return inputs
    return torch.empty_strided(
        inputs.shape, inputs.stride(), dtype=inputs.dtype, device=inputs.device
    ).copy_(inputs)


def _common_prefix(trainings: Sequence[Training]) -> nn.Module | None:
    """Return the frozen prefix that all of several trainings have in common, or None."""
    parts = [each.part for each in trainings]
    first = parts[0]
    if len(parts) == 1 or first is None:
        return None
    prefix = first.prefix
    return prefix if all(each is not None and each.prefix is prefix for each in parts) else None


def _features(prefix: nn.Module, inputs: Tensor, precision: str) -> Tensor:
    """Return what a frozen prefix makes of a batch, computed as within the whole network."""
    with autocast(inputs.device, precision):
        features: Tensor = prefix(inputs)
    return features


def _all_leave(trainings: Sequence[Training], error: Exception, left: Left) -> None:
    try:
        for each in trainings:
            left(each, error)
    finally:
        del error  # as it may hold this frame

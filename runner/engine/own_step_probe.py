"""An own training step, tried on the run's network before anything is trained.

Trainings with it are shared, killed and resumed like others if an update follows from the weights,
the optimizer's state, the batch and keyed draws alone. Owns the test of that; on the CPU, on a few
random images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from runner.components.own.loading import failed
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.engine.network.build import Network
from runner.engine.own_few_steps import FewSteps, Shape, State, are_equal
from runner.engine.training.own_step import GIVES

RATE = 0.01
"""In force while it is tried, whatever that of the run is."""
TAKES = "it is called with model, images, labels, loss, optimizer and generator"
Tensors = Mapping[str, Tensor]
MOST_DEPTH = 8
"""Of things within each other that an instance holds."""


def try_training_step(settings: Settings, shape: Shape, num_classes: int) -> str:
    """Try some steps of a training by own code; return why nothing can be shared with it, or "".

    Args:
        settings: of the run, with a step of its own.
        shape: of an image.
        num_classes: of the data.

    Raises:
        OwnCodeFailed: when it raises an error, does not give loss and logits, changes no weights or
            frozen ones, takes no notice of the rate in force, or leaves layers in another mode.
    """
    own = settings.train.step
    assert own is not None
    name = f"'{own.own.name}'"
    plain = settings.train.model_copy(update={"precision": "fp32"})
    given = (settings.model_copy(update={"train": plain}), shape, num_classes)

    def training() -> FewSteps:
        return FewSteps(*given, rate=RATE)

    try:
        with torch.random.fork_rng(devices=[]):
            between, after, is_changed = _taken(training(), name)
            again = training()
            again.steps(1, 2)
            is_repeated = are_equal(after, again.tensors())
            del again  # large networks are in memory once at a time
            resumed = training()
            resumed.load(between)
            resumed.steps(2, 2)
            goes_on = are_equal(after, resumed.tensors())
            resumed.load(between)
            resumed.set_rate(2 * RATE)
            resumed.steps(2, 2)
            if are_equal(after, resumed.tensors()):
                found = f"{name} takes no notice of the rate in force, which schedules change"
                raise OwnCodeFailed(found, hint="update the weights by optimizer.step()")
    except OwnCodeFailed:
        raise
    except Exception as error:
        raise failed(f"{name} cannot update the weights ({TAKES})", error) from error
    if not is_repeated:
        return f"{name} updates equal weights otherwise each time"
    return f"{name} remembers something between steps" if is_changed or not goes_on else ""


def _taken(training: FewSteps, name: str) -> tuple[State, Tensors, bool]:
    """Take two steps; return the state between them, all tensors after, and a third thing.

    That is whether the instance has changed meanwhile.

    Raises:
        OwnCodeFailed: for what would make a training worthless.
    """
    network, outputs = training.network, training.outputs
    network.train()
    before, modes, held = training.tensors(), _modes(network), _held(training.update)
    loss, logits = training.steps(1, 1)
    if not bool(torch.isfinite(loss)):
        raise OwnCodeFailed(f"{name} gives a loss that is not finite", hint=GIVES)
    if logits.shape[1] != outputs:
        found = f"{name} gives logits of {logits.shape[1]} classes, not of {outputs}"
        raise OwnCodeFailed(found, hint=GIVES)
    between = training.state()
    training.steps(2, 2)
    if _modes(network) != modes:
        found = f"{name} leaves layers in another mode, or other weights to be trained"
        hint = "change train(), eval() and requires_grad back in the same step"
        raise OwnCodeFailed(found, hint=hint)
    after = training.tensors()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    if any(map(network.frozen.holds, changed)):
        found = f"{name} changes weights that model.freeze says are frozen"
        raise OwnCodeFailed(found, hint="change what optimizer.param_groups holds")
    if not changed & {name for name, _ in network.module.named_parameters()}:
        found = f"{name} does not change the weights"
        raise OwnCodeFailed(found, hint="call loss.backward() and optimizer.step()")
    return between, after, not _are_alike(held, _held(training.update))


def _modes(network: Network) -> list[bool]:
    """Return which layers are in training mode, and which weights are trained."""
    return [
        *(each.training for each in network.module.modules()),
        *(each.requires_grad for each in network.module.parameters()),
    ]


def _held(value: Any, depth: int = MOST_DEPTH) -> Any:
    """Return a copy of what a value holds: tensors, plain values, and containers of these."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if not depth:
        return type(value)
    if isinstance(value, nn.Module):
        return _held(dict(value.state_dict()), depth - 1)
    if isinstance(value, dict):
        return {str(name): _held(each, depth - 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_held(each, depth - 1) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return {"": type(value), **_held(getattr(value, "__dict__", {}), depth - 1)}


def _are_alike(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_alike(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_alike, one, other))
    return type(one) is type(other) and bool(one == other or one != one)

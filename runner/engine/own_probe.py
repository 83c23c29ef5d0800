"""Own code, tried for a few steps before it is trained: what the program relies on holds of it.

A run is shared, killed and resumed as if nothing had happened because equal seeds build equal
networks, a step depends on nothing but weights, batch and keyed draws, and all that a step changes
is in `state_dict()`. Owns the tests of that; on the CPU, on a few random images.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from runner.components.augmentations.own_step import OwnStep
from runner.components.losses import OwnLoss
from runner.components.models.own_model import OwnModel
from runner.components.optimizers import OwnOptimizer
from runner.components.own.loading import failed, is_of_own_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.core.keys import keyed_seed
from runner.engine.network.build import build_network
from runner.engine.training.checkpoint import optimizer_tensors, restore_optimizer
from runner.engine.training.step import TrainingStep

Shape = tuple[int, int, int]
IMAGES = 4
HOST = torch.device("cpu")
DRAWS = (
    "draw from torch alone, without a generator of your own: it is seeded before the network is"
    " built and before each step"
)
KEEPS = "register it as a buffer (`register_buffer`), so that `state_dict()` has it"


def try_loss(loss: OwnLoss, outputs: int) -> None:
    """Try an own loss on random logits.

    Args:
        loss: its settings.
        outputs: of the network.

    Raises:
        OwnCodeFailed: when it raises an error, gives no loss, has weights, or gives another loss
            for the same batch.
    """
    name = f"'{loss.own.name}'"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_seed(0, "probe"))
        weights = None if loss.class_weights is None else torch.ones(outputs)
        logits = torch.randn(2, IMAGES, outputs)
        labels = torch.arange(IMAGES) % outputs
        first, second = loss.build(weights), loss.build(weights)
        if any(True for _ in first.parameters()):
            raise OwnCodeFailed(f"{name} has weights of its own, which no optimizer would train")
        _loss_of(name, first, logits[1], labels)
        once, again = (_loss_of(name, each, logits[0], labels) for each in (first, second))
    if not torch.equal(once, again):
        found = f"{name} gives other losses for the same batch: it draws, or remembers batches"
        raise OwnCodeFailed(found, hint=DRAWS)


def _loss_of(name: str, module: nn.Module, logits: Tensor, labels: Tensor) -> Tensor:
    torch.manual_seed(keyed_seed(0, "probe", 1))
    leaf = logits.clone().requires_grad_()
    try:
        found = module(leaf, labels)
        if isinstance(found, Tensor) and found.requires_grad and not found.shape:
            found.backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise failed(f"{name} does not take logits and labels", error) from error
    if not isinstance(found, Tensor) or found.shape:
        shown = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise OwnCodeFailed(f"{name} gives {shown}, not the loss of the batch as a scalar")
    if leaf.grad is None or not bool(torch.isfinite(found)) or not bool(leaf.grad.isfinite().all()):
        raise OwnCodeFailed(f"{name} gives a loss without finite gradients")
    return found.detach()


def try_optimizer(optimizer: OwnOptimizer) -> None:
    """Try an own optimizer on a few weights.

    Args:
        optimizer: its settings.

    Raises:
        OwnCodeFailed: when it raises an error, updates equal weights unequally, does not go on from
            its stored state as if nothing had happened, or takes no notice of the rate in force.
    """
    name = f"'{optimizer.own.name}'"
    try:
        with torch.random.fork_rng(devices=[]):
            first, second, faster = (_Updates(optimizer) for _ in range(3))
            first.take(1, 2)
            resumed = _Updates(optimizer)
            resumed.go_on_from(first)
            first.take(3, 4)
            second.take(1, 4)
            resumed.take(3, 4)
            for group in faster.optimizer.param_groups:
                group["lr"] = 2 * optimizer.lr
            faster.take(1, 4)
    except (
        TypeError,
        RuntimeError,
        AttributeError,
        KeyError,
        ValueError,
        ArithmeticError,
    ) as error:
        raise failed(f"{name} cannot update weights", error) from error
    if not first.is_like(second):
        raise OwnCodeFailed(f"{name} updates equal weights otherwise each time", hint=DRAWS)
    if not first.is_like(resumed):
        found = f"{name} remembers something between steps that is not in its state"
        hint = "keep it in self.state[parameter], as tensors or plain numbers"
        raise OwnCodeFailed(f"{found}: a killed run would go on otherwise", hint=hint)
    if first.is_like(faster):
        found = f"{name} takes no notice of the rate in force, which schedules change"
        raise OwnCodeFailed(found, hint='read it in each step from group["lr"]')


def try_step(step: OwnStep, shape: Shape) -> None:
    """Try an own step of an augmentation on random images.

    Args:
        step: its settings.
        shape: of an image.

    Raises:
        OwnCodeFailed: when it raises an error, gives no images of this shape, or gives others for
            the same images and draws.
    """
    name = f"'{step.own.name}'"
    generator = torch.Generator().manual_seed(keyed_seed(0, "probe"))
    images = torch.randint(256, (IMAGES, *shape), generator=generator, dtype=torch.uint8)
    drawn = step.draw(generator, IMAGES, shape[1:])
    try:
        first, second = (step.apply(images, drawn, (0.0,)) for _ in range(2))
    except OwnCodeFailed:
        raise
    except Exception as error:
        raise failed(f"{name} does not take an image and a generator", error) from error
    if not torch.equal(first, second):
        found = f"{name} gives other images for the same images and draws"
        raise OwnCodeFailed(found, hint="draw from the generator that it is given alone")


class _Updates:
    """Updates of a few weights, by gradients that follow from the number of the step."""

    def __init__(self, optimizer: OwnOptimizer) -> None:
        drawn = torch.Generator().manual_seed(0)
        shapes = ((3, 4), (3,))
        self.weights = [nn.Parameter(torch.randn(shape, generator=drawn)) for shape in shapes]
        self.optimizer = optimizer.build(self.weights)

    def take(self, first: int, last: int) -> None:
        """Take steps, as a training does."""
        for number in range(first, last + 1):
            torch.manual_seed(number)
            self.optimizer.zero_grad(set_to_none=True)
            drawn = torch.Generator().manual_seed(number)
            for weight in self.weights:
                weight.grad = torch.randn(weight.shape, generator=drawn)
            self.optimizer.step()

    def go_on_from(self, other: _Updates) -> None:
        """Take the weights and the state of another, through what a checkpoint holds."""
        tensors, others = optimizer_tensors(other.optimizer)
        tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        restore_optimizer(self.optimizer, tensors, json.loads(json.dumps(others)))
        with torch.no_grad():
            for mine, theirs in zip(self.weights, other.weights, strict=True):
                mine.copy_(theirs)

    def is_like(self, other: _Updates) -> bool:
        """Return whether the weights are the same to the bit."""
        pairs = zip(self.weights, other.weights, strict=True)
        return all(torch.equal(one.nan_to_num(), two.nan_to_num()) for one, two in pairs)


class _State(NamedTuple):
    """All that a training goes on from."""

    network: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]


class _Training:
    """A training of a few steps."""

    def __init__(self, settings: Settings, shape: Shape, num_classes: int) -> None:
        self.network = build_network(settings, shape, num_classes, HOST)
        self.optimizer = settings.train.optimizer.build(list(self.network.trainable()))
        weighted = settings.train.loss.class_weights is not None
        outputs = num_classes if settings.model.classes is None else settings.model.classes
        weights = torch.ones(outputs) if weighted else None
        self._step = TrainingStep(settings, self.network, self.optimizer, weights)
        self._shape, self._classes = shape, num_classes

    def steps(self, first: int, last: int) -> None:
        """Take steps on batches that follow from their numbers."""
        self.network.train()
        for number in range(first, last + 1):
            generator = torch.Generator().manual_seed(number)
            images = torch.randn((IMAGES, *self._shape), generator=generator)
            labels = (torch.arange(IMAGES) + number) % self._classes
            self._step(1, number, images, labels)

    def state(self) -> _State:
        """Return a copy of the state."""
        tensors = {
            name: tensor.detach().clone()
            for name, tensor in self.network.module.state_dict().items()
        }
        return _State(tensors, copy.deepcopy(self.optimizer.state_dict()))

    def load(self, state: _State) -> None:
        """Go on from a state."""
        self.network.module.load_state_dict(dict(state.network))
        self.optimizer.load_state_dict(copy.deepcopy(dict(state.optimizer)))


def try_training(settings: Settings, shape: Shape, num_classes: int) -> None:
    """Try some steps of a training of an own network.

    Args:
        settings: of the run.
        shape: of an image.
        num_classes: of the data.

    Raises:
        OwnCodeFailed: when it raises an error, equal seeds build or train unequal networks, or a
            training does not go on from its state as if nothing had happened.
    """
    assert isinstance(settings.model, OwnModel)
    name = f"'{settings.model.own.name}'"
    plain = settings.model_copy(
        update={"train": settings.train.model_copy(update={"precision": "fp32"})}
    )
    try:
        with torch.random.fork_rng(devices=[]):
            _try(plain, shape, num_classes, name)
    except OwnCodeFailed:
        raise
    except Exception as error:
        if is_of_own_code(error):
            raise failed(f"{name} cannot be trained", error) from error
        raise OwnCodeFailed(f"{name} cannot be trained: {error}") from error


def _try(settings: Settings, shape: Shape, num_classes: int, name: str) -> None:
    first, second = (_Training(settings, shape, num_classes) for _ in range(2))
    if not _are_equal(first.state(), second.state()):
        raise OwnCodeFailed(f"{name} is built with other weights each time", hint=DRAWS)
    first.steps(1, 2)
    between = first.state()
    first.steps(3, 4)
    second.steps(1, 4)
    if not _are_equal(first.state(), second.state()):
        raise OwnCodeFailed(f"{name} is trained otherwise each time", hint=DRAWS)
    resumed = _Training(settings, shape, num_classes)
    resumed.load(between)
    resumed.steps(3, 4)
    if not _are_equal(first.state(), resumed.state()):
        found = f"{name} remembers something between steps that is not in its state_dict()"
        raise OwnCodeFailed(f"{found}: a killed run would go on as another network", hint=KEEPS)


def _are_equal(one: _State, other: _State) -> bool:
    return one.network.keys() == other.network.keys() and all(
        torch.equal(tensor.nan_to_num(), other.network[name].nan_to_num())
        for name, tensor in one.network.items()
    )

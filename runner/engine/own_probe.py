"""Own code, tried for a few steps before it is trained: what the program relies on holds of it.

A run is shared, killed and resumed as if nothing had happened because equal seeds build equal
networks, a step depends on nothing but weights, batch and keyed draws, and all that a step changes
is in `state_dict()`. Owns the tests of that; on the CPU, on a few random images.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from runner.components.losses import OwnLoss
from runner.components.models.own_model import OwnModel
from runner.components.own.loading import failed, is_of_own_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.core.keys import keyed_seed
from runner.engine.network.build import build_network
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

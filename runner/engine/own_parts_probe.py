"""Own losses, optimizers and steps of augmentations, tried before anything is trained with them.

Owns what each must do for a training to work at all, which is an error where it does not, and what
sharing and resuming rely on, which is returned in words. On the CPU, on a few random numbers.
"""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from runner.components.augmentations.own_step import OwnStep
from runner.components.losses import OwnLoss
from runner.components.optimizers import OwnOptimizer
from runner.components.own.loading import failed
from runner.components.own.problems import OwnCodeFailed
from runner.core.keys import keyed_seed
from runner.engine.training.checkpoint import optimizer_tensors, restore_optimizer

Shape = tuple[int, int, int]
IMAGES = 4


def try_loss(loss: OwnLoss, outputs: int) -> str:
    """Try an own loss on random logits; return why nothing can be shared with it, or "".

    Args:
        loss: its settings.
        outputs: of the network.

    Raises:
        OwnCodeFailed: when it raises an error, gives no loss, or has weights.
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
    if torch.equal(once, again):
        return ""
    return f"{name} gives other losses for the same batch: it draws, or remembers batches"


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


def try_optimizer(optimizer: OwnOptimizer) -> str:
    """Try an own optimizer on a few weights; return why nothing can be shared with it, or "".

    Args:
        optimizer: its settings.

    Raises:
        OwnCodeFailed: when it raises an error, or takes no notice of the rate in force.
    """
    name = f"'{optimizer.own.name}'"
    try:
        with torch.random.fork_rng(devices=[]):
            first, second, faster = (_Updates(optimizer) for _ in range(3))
            first.take(1, 2)
            resumed = _Updates(optimizer)
            is_kept = resumed.goes_on_from(first)
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
    if first.is_like(faster):
        found = f"{name} takes no notice of the rate in force, which schedules change"
        raise OwnCodeFailed(found, hint='read it in each step from group["lr"]')
    if not first.is_like(second):
        return f"{name} updates equal weights otherwise each time"
    if not is_kept:
        return f"{name} keeps other things in its state than tensors and plain numbers"
    if not first.is_like(resumed):
        return f"{name} remembers something between steps that is not in its state"
    return ""


def try_step(step: OwnStep, shape: Shape) -> str:
    """Try an own step of an augmentation on images; return why nothing can be shared, or "".

    Args:
        step: its settings.
        shape: of an image.

    Raises:
        OwnCodeFailed: when it raises an error, or gives no images of this shape.
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
    if torch.equal(first, second):
        return ""
    return f"{name} gives other images for the same images and draws"


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

    def goes_on_from(self, other: _Updates) -> bool:
        """Take the weights and the state of another; return whether a checkpoint can hold that."""
        with torch.no_grad():
            for mine, theirs in zip(self.weights, other.weights, strict=True):
                mine.copy_(theirs)
        tensors, others = optimizer_tensors(other.optimizer)
        try:
            kept = json.loads(json.dumps(others))
        except (TypeError, ValueError):
            return False
        tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        restore_optimizer(self.optimizer, tensors, kept)
        return True

    def is_like(self, other: _Updates) -> bool:
        """Return whether the weights are the same to the bit."""
        pairs = zip(self.weights, other.weights, strict=True)
        return all(torch.equal(one.nan_to_num(), two.nan_to_num()) for one, two in pairs)

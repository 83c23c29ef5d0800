"""An own network, tried for a few steps before it is trained: what the program relies on.

A run is shared, killed and resumed as if nothing had happened because equal seeds build equal
networks, a step depends on nothing but weights, batch and keyed draws, and all that a step changes
is in `state_dict()`. Features and predictions rely on an image's logits being its own. Owns the
tests of that; on the CPU, on a few random images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from runner.components.models.own_model import OwnModel
from runner.components.own.loading import failed, is_of_own_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.core.sharing import Unshared
from runner.engine.own_few_steps import IMAGES, FewSteps, Shape, State, are_equal
from runner.engine.own_prefix_probe import why_no_features

Tensors = Mapping[str, Tensor]
TOLERANCE = 1e-4
"""What logits of one image that were computed in batches of two sizes may differ by, relatively to
their norm, as features may. Products of matrices of two sizes add in other orders: torchvision's
networks stay below 4e-7 on a CPU."""


def try_training(settings: Settings, shape: Shape, num_classes: int) -> Unshared:
    """Try some steps of a training of an own network; return what does not hold of it.

    Args:
        settings: of the run.
        shape: of an image.
        num_classes: of the data.

    Raises:
        OwnCodeFailed: when it raises an error, its weights alone are not the network that was
            trained, or a single image has no logits.
    """
    assert isinstance(settings.model, OwnModel)
    name = f"'{settings.model.own.name}'"
    plain = settings.model_copy(
        update={"train": settings.train.model_copy(update={"precision": "fp32"})}
    )
    try:
        with torch.random.fork_rng(devices=[]):
            return _try(plain, shape, num_classes, name)
    except OwnCodeFailed:
        raise
    except Exception as error:
        if is_of_own_code(error):
            raise failed(f"{name} cannot be trained", error) from error
        raise OwnCodeFailed(f"{name} cannot be trained: {error}") from error


def _try(settings: Settings, shape: Shape, num_classes: int, name: str) -> Unshared:
    def training() -> FewSteps:
        return FewSteps(settings, shape, num_classes)

    first = training()
    built, images = first.tensors(), first.images(0)
    first.steps(1, 1)
    within = first.state()  # where a training is asked to stop within an epoch
    first.steps(2, 2)
    first.logits(images)  # a real training evaluates after each epoch
    between = first.state()
    first.steps(3, 4)
    trained = first.tensors()
    found = _why_not_again(training(), built, trained)
    found = found or _why_not_behind(training(), 1, within, trained)
    found = found or _why_not_behind(training(), 2, between, trained)
    logits = first.logits(images)
    loaded = training()
    loaded.load(first.state())
    if not torch.equal(logits.nan_to_num(), loaded.logits(images).nan_to_num()):
        raise OwnCodeFailed(
            f"{name} gives other logits once its weights are loaded into it anew: it keeps"
            " something that is not in its state_dict(), or freezes weights that are not drawn"
            " from the seed",
            hint="register it as a buffer (`register_buffer`), so that `state_dict()` has it",
        )
    if not _is_of_halves(first, images, logits, name):
        return Unshared(_of(name, found), f"{name} gives an image other logits in another batch")
    if found:
        return Unshared(_of(name, found))
    del first, loaded
    why = why_no_features(FewSteps(settings, shape, num_classes, on_features=True), trained)
    return Unshared(features=f"{name}: {why}" if why else "")


def _of(name: str, found: str) -> str:
    return f"{name} {found}" if found else ""


def _why_not_again(again: FewSteps, built: Tensors, trained: Tensors) -> str:
    """Return why a training, done again, is another one, or ""."""
    if not are_equal(built, again.tensors()):
        return "is built with other weights each time"
    again.steps(1, 2)
    again.logits(again.images(0))
    again.steps(3, 4)
    return "" if are_equal(trained, again.tensors()) else "is trained otherwise each time"


def _why_not_behind(resumed: FewSteps, step: int, state: State, trained: Tensors) -> str:
    """Return why a training that goes on after its first or second step is another one, or ""."""
    resumed.load(state)
    if step == 1:
        resumed.steps(2, 2)
        resumed.logits(resumed.images(0))
    resumed.steps(3, 4)
    if are_equal(trained, resumed.tensors()):
        return ""
    return "remembers something between steps that is not in its state_dict()"


def _is_of_halves(training: FewSteps, images: Tensor, logits: Tensor, name: str) -> bool:
    """Return whether the logits of a batch are those of its halves, and of its images.

    Raises:
        OwnCodeFailed: when a single image has logits of another shape.
    """
    for size in (IMAGES // 2, 1):
        parts = [training.logits(part) for part in torch.split(images, size)]
        wanted = (size, logits.shape[1])
        if any(part.shape != wanted for part in parts):
            given = tuple(parts[0].shape)
            raise OwnCodeFailed(
                f"{name} gives {given}, not logits {wanted}, for a batch of {size}",
                hint="squeeze() also takes away the dimension of a batch of one image",
            )
        if not are_close(torch.cat(parts), logits):
            return False
    return True


def are_close(one: Tensor, other: Tensor) -> bool:
    """Return whether rows (B, …) differ by rounding alone, each relatively to its norm."""
    gaps = (one - other).flatten(1).norm(dim=1)
    limits = TOLERANCE * other.flatten(1).norm(dim=1)
    return bool((gaps <= limits).all()) or torch.equal(one.nan_to_num(), other.nan_to_num())

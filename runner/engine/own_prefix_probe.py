"""The frozen prefix of an own network, or of timm's: tried once whether it is fixed, and with the
rest the whole.

Owns what must hold of the two parts, to the bit, before features are computed once for all images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from runner.components.settings import Settings
from runner.engine.network.split import SplitNetwork
from runner.engine.own_few_steps import FewSteps, Shape, are_equal


def why_not_in_parts(settings: Settings, shape: Shape, num_classes: int) -> str:
    """Return why the frozen layers of a network of timm are to be computed in every step, or "".

    Args:
        settings: of the run.
        shape: of an image.
        num_classes: of the data.
    """
    train = settings.train.model_copy(update={"precision": "fp32", "step": None})
    plain = settings.model_copy(update={"train": train})
    with torch.random.fork_rng(devices=[]):
        whole = FewSteps(plain, shape, num_classes)
        whole.steps(1, 2)
        whole.logits(whole.images(0))  # a real training evaluates after each epoch
        whole.steps(3, 4)
        parts = FewSteps(plain, shape, num_classes, on_features=True)
        return why_no_features(parts, whole.tensors())


def why_no_features(training: FewSteps, trained: Mapping[str, Tensor]) -> str:
    """Return why the frozen layers of a network are to be computed in every step, or "".

    Args:
        training: on what its frozen prefix gives, before its first step. It takes four.
        trained: weights and buffers after the same steps of the whole network.
    """
    if training.split is None:
        return ""
    try:
        return _why_not_fixed(training, training.split) or _why_not_whole(
            training, training.split, trained
        )
    except Exception as error:  # own code, whose parts nobody has called by themselves
        return f"its two parts cannot be computed ({type(error).__name__}: {error})"


def _why_not_fixed(training: FewSteps, split: SplitNetwork) -> str:
    """Return why the prefix may give others for the same images later, or ""."""
    images, before, drawn = training.images(0), training.tensors(), torch.get_rng_state()
    training.network.train()
    features = split.prefix(images.clone())
    if not isinstance(features, Tensor) or not features.is_floating_point():
        return f"{split.cut} gives no tensor of numbers"
    if features.requires_grad:
        return f"{split.cut} has layers that are trained"
    if not torch.equal(drawn, torch.get_rng_state()):
        return f"{split.cut} draws random numbers"
    if not are_equal(before, training.tensors()):
        return f"what lies before {split.cut} changes in training"
    training.network.eval()
    if not _is_same(features, split.prefix(images.clone())):
        return f"{split.cut} gives others in training than in evaluation"
    return ""


def _why_not_whole(training: FewSteps, split: SplitNetwork, trained: Mapping[str, Tensor]) -> str:
    """Return why prefix and head together are not the network, or ""."""
    images = training.images(0)

    def in_parts() -> Tensor:
        training.network.eval()
        with torch.no_grad():
            logits: Tensor = split.head(split.prefix(images.clone()))
        return logits.clone()

    training.steps(1, 2)
    in_parts()
    training.steps(3, 4)
    if not are_equal(training.tensors(), trained):
        return f"trained behind {split.cut}, it becomes another network"
    if not _is_same(in_parts(), training.logits(images)):
        return f"evaluated behind {split.cut}, it gives other logits"
    return ""


def _is_same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())

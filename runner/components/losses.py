"""Training losses. To add one: a class, and its name in the union at the foot of this file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.components.component import Component
from runner.components.own.component import OwnComponent
from runner.components.own.problems import OwnCodeFailed
from runner.components.own.union import OwnCode

if TYPE_CHECKING:
    import torch

ClassWeights = Annotated[
    tuple[Annotated[float, Field(ge=1e-6, le=1e6)], ...], Field(min_length=2, max_length=100_000)
]


class ClassWeighted(Component):
    """A loss in which images count by their class.

    The loss of a batch is the sum of its images' losses, each times the weight of its class,
    divided by the sum of these weights. With `balanced`, a class that has c of n training images of
    k classes has the weight n / (k c).
    """

    class_weights: Literal["balanced"] | ClassWeights | None = Field(
        None,
        description="how much an image counts by its class: `balanced`, the more the rarer, or a"
        " number for each class, in the order of the classes; all the same when not given",
        json_schema_extra={"neutral": None},
    )

    def weights_of_classes(self, counts: Sequence[int]) -> tuple[float, ...] | None:
        """Return how much an image of each class counts, None where all count the same.

        Args:
            counts: training images of each class, one at least.

        Returns:
            With `balanced`, what scikit-learn's ``compute_class_weight`` gives for the classes
            that have images, and 0 for the others.
        """
        if self.class_weights != "balanced":
            return self.class_weights
        there = sum(count > 0 for count in counts)
        total = sum(counts)
        return tuple(total / (there * count) if count else 0.0 for count in counts)


class CrossEntropy(ClassWeighted):
    """Cross-entropy of the softmax, mean over the batch, as torch.nn.CrossEntropyLoss.

    The reported losses of evaluations are without label smoothing and class weights, so that runs
    compare.
    """

    name: Literal["cross_entropy"]
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target that is spread over all classes"
    )

    def build(self, weights: torch.Tensor | None = None) -> torch.nn.Module:
        """Return a module from logits (B, classes) float and labels (B,) int64 to a scalar.

        Args:
            weights: of the classes, (classes,) float32, or None.
        """
        import torch

        return torch.nn.CrossEntropyLoss(weights, label_smoothing=self.label_smoothing)


class Focal(ClassWeighted):
    """Focal loss (Lin et al., 2017) of the softmax: (1 - p)^gamma · -log p, mean over the batch.

    p is the probability of the right class: images that are easily right count less. With gamma 0
    it is the cross-entropy. The reported losses of evaluations are cross-entropies.
    """

    name: Literal["focal"]
    gamma: float = Field(2.0, ge=0, le=100, description="how much less easy images count")

    def build(self, weights: torch.Tensor | None = None) -> torch.nn.Module:
        """Return a module from logits (B, classes) float and labels (B,) int64 to a scalar.

        Args:
            weights: of the classes, (classes,) float32, or None.
        """
        from runner.components.losses_net import FocalLoss

        return FocalLoss(self.gamma, weights)


class OwnLoss(OwnComponent, ClassWeighted):
    """A subclass of torch.nn.Module from logits and labels to the loss of a batch, in a file.

    Its `__init__` may take `weight`, the weights of the classes (classes,) float32 or None, which
    is given by the program where `class_weights` is set; its other parameters are settings.
    """

    GIVEN: ClassVar[tuple[str, ...]] = ("weight",)

    @model_validator(mode="after")
    def _takes_class_weights(self) -> Self:
        if self.class_weights is not None and "weight" not in self.own.signature.given:
            raise ValueError("class_weights needs a parameter `weight` of __init__")
        return self

    def build(self, weights: torch.Tensor | None = None) -> torch.nn.Module:
        """Return a module from logits (B, classes) float and labels (B,) int64 to a scalar.

        Args:
            weights: of the classes, (classes,) float32, or None.

        Raises:
            OwnCodeFailed: when own code raises an error, or makes no module.
        """
        from torch import nn

        module = self.make(weight=weights)
        if not isinstance(module, nn.Module):
            raise OwnCodeFailed(f"'{self.own.name}' is no subclass of torch.nn.Module")
        return module


Loss = Annotated[CrossEntropy | Focal, Field(discriminator="name"), OwnCode(OwnLoss)]

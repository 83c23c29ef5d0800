"""Training losses. To add one: a class, and its name in the union at the foot of this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from runner.components.component import Component

if TYPE_CHECKING:
    import torch


class CrossEntropy(Component):
    """Cross-entropy of the softmax, mean over the batch.

    The reported losses of evaluations are without label smoothing, so that runs compare.
    """

    name: Literal["cross_entropy"]
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target that is spread over all classes"
    )

    def build(self) -> torch.nn.Module:
        """Return a module from logits (B, classes) float and labels (B,) int64 to a scalar."""
        import torch

        return torch.nn.CrossEntropyLoss(label_smoothing=self.label_smoothing)


# pydantic wants a union for a discriminator: with a second loss, Field(discriminator="name")
Loss = Annotated[CrossEntropy, Field()]

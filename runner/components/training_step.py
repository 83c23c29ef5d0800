"""A training step of the user's own: what is done with a batch, as a class in a Python file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Protocol

from runner.components.own.component import OwnComponent
from runner.components.own.problems import OwnCodeFailed
from runner.components.own.union import OwnCode

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class GivenOptimizer(Protocol):
    """The optimizer that a step is given: what updates the weights by their gradients."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The weights that are trained under ``params``, and the rate in force under ``lr``."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take all gradients away."""

    def step(self) -> None:
        """Clip the gradients, where `clip_grad_norm` is set, and update the weights."""


class Update(Protocol):
    """What an own training step is once it is built."""

    def __call__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        loss: nn.Module,
        optimizer: GivenOptimizer,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Update the weights by a batch; return the loss and the logits that are recorded."""


class OwnTrainingStep(OwnComponent):
    """A class whose instances update the weights by a batch of images, in a Python file.

    They take the model, images (B, C, H, W) float32, labels (B,) int64, the loss, the optimizer and
    a torch.Generator on the CPU, which is seeded for each step, and return the loss of the batch, a
    scalar, and its logits (B, classes). The parameters of `__init__` are settings.
    """

    def build(self) -> Update:
        """Return an instance.

        Raises:
            OwnCodeFailed: when own code raises an error, or makes nothing that can be called.
        """
        update: Update = self.make()
        if not callable(update):
            raise OwnCodeFailed(f"'{self.own.name}' has no method __call__")
        return update


if TYPE_CHECKING:
    Step = OwnTrainingStep | None
else:
    Step = Annotated[None, OwnCode(OwnTrainingStep)]
"""The program's own step is none of the choices: it is what there is without one."""

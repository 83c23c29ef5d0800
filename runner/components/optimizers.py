"""Optimizers. To add one: a class, and its name in the union at the foot of this file.

The engine sets the learning rate of each epoch; ``lr`` here is the base rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.components.component import MAX_NUMBER, Component
from runner.components.own.component import OwnComponent
from runner.components.own.problems import OwnCodeFailed
from runner.components.own.union import OwnCode

if TYPE_CHECKING:
    import torch

    from runner.components.optimizers_net import TorchOptimizer

Beta = Annotated[float, Field(ge=0, lt=1)]


class SGD(Component):
    """Stochastic gradient descent, as torch.optim.SGD."""

    name: Literal["sgd"]
    lr: float = Field(0.01, gt=0, le=MAX_NUMBER, description="base learning rate")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum factor")
    nesterov: bool = Field(False, description="Nesterov momentum (needs momentum above 0)")
    weight_decay: float = Field(0.0, ge=0, le=MAX_NUMBER, description="L2 penalty")

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> TorchOptimizer:
        """Return the optimizer over ``parameters``."""
        from runner.components.optimizers_net import FusedSGD

        return FusedSGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )


class Adam(Component):
    """Adam (Kingma and Ba, 2015), as torch.optim.Adam; weight decay is an L2 penalty."""

    name: Literal["adam"]
    lr: float = Field(1e-3, gt=0, le=MAX_NUMBER, description="base learning rate")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="decay rates of the two moments")
    eps: float = Field(1e-8, gt=0, le=MAX_NUMBER, description="added to the denominator")
    weight_decay: float = Field(0.0, ge=0, le=MAX_NUMBER, description="L2 penalty")

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> TorchOptimizer:
        """Return the optimizer over ``parameters``."""
        from runner.components.optimizers_net import FusedAdam

        return FusedAdam(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


class AdamW(Component):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW."""

    name: Literal["adamw"]
    lr: float = Field(1e-3, gt=0, le=MAX_NUMBER, description="base learning rate")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="decay rates of the two moments")
    eps: float = Field(1e-8, gt=0, le=MAX_NUMBER, description="added to the denominator")
    weight_decay: float = Field(0.01, ge=0, le=MAX_NUMBER, description="decoupled weight decay")

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> TorchOptimizer:
        """Return the optimizer over ``parameters``."""
        from runner.components.optimizers_net import FusedAdamW

        return FusedAdamW(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


class OwnOptimizer(OwnComponent):
    """A subclass of torch.optim.Optimizer in a Python file.

    Its `__init__` takes `params`, which is given by the program, and `lr`; its other parameters are
    settings, too. The rate of each epoch is `lr` of its `param_groups`.
    """

    GIVEN: ClassVar[tuple[str, ...]] = ("params",)
    NEEDED: ClassVar[tuple[str, ...]] = ("params", "lr")

    lr: float = Field(gt=0, le=MAX_NUMBER, description="base learning rate")

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> TorchOptimizer:
        """Return the optimizer over ``parameters``.

        Raises:
            OwnCodeFailed: when own code raises an error, or makes no optimizer.
        """
        from torch.optim import Optimizer as AnyOptimizer

        optimizer: TorchOptimizer = self.make(params=list(parameters))
        if not isinstance(optimizer, AnyOptimizer):
            raise OwnCodeFailed(f"'{self.own.name}' is no subclass of torch.optim.Optimizer")
        return optimizer


def numbers_per_weight(optimizer: Component) -> int:
    """Return how many numbers an optimizer stores per weight: its moments."""
    return int(optimizer.momentum > 0) if isinstance(optimizer, SGD) else 2


Optimizer = Annotated[SGD | Adam | AdamW, Field(discriminator="name"), OwnCode(OwnOptimizer)]

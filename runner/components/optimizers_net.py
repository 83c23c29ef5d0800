"""Optimizers in torch: what the training loop needs of one, and SGD and Adam over fused kernels.

torch's own classes would do, with the same numbers, but they import its compiler (over a second)
and spend more on a step of a small network than the update itself. Here is what is left of them:
the same kernels, and the same state under the same names. Knows no settings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class TorchOptimizer(Protocol):
    """What updates weights; every ``torch.optim.Optimizer`` does.

    Attributes:
        param_groups: the parameters, and the rate in force under ``lr``.
    """

    param_groups: list[dict[str, Any]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take all gradients away."""

    def step(self) -> object:
        """Update the parameters that have a gradient."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state by index of the parameter under ``state``, and ``param_groups``."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put a state back."""


class FusedOptimizer(ABC):
    """Parameters of one type on one device, and what is kept of each."""

    def __init__(self, parameters: Iterable[nn.Parameter], **settings: Any) -> None:
        """Take parameters and the settings in force, ``lr`` among them."""
        self._parameters = list(parameters)
        self._states: list[dict[str, Tensor]] = [{} for _ in self._parameters]
        self.param_groups = [{"params": self._parameters, **settings}]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take all gradients away."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters that have a gradient."""
        parameters: list[Tensor] = []
        gradients: list[Tensor] = []
        states: list[dict[str, Tensor]] = []
        for parameter, state in zip(self._parameters, self._states, strict=True):
            gradient = parameter.grad
            if gradient is not None:
                parameters.append(parameter)
                gradients.append(gradient)
                states.append(state)
        if parameters:
            self._update(parameters, gradients, states)

    @abstractmethod
    def _update(
        self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict[str, Tensor]]
    ) -> None:
        """Update parameters and states in place."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state by index of the parameter, and the settings in force."""
        indices = list(range(len(self._parameters)))
        states = zip(indices, self._states, strict=True)
        return {
            "state": {index: dict(state) for index, state in states if state},
            "param_groups": [{**self.param_groups[0], "params": indices}],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned, and torch's own class of the same name."""
        for index, parameter in enumerate(self._parameters):
            state = state_dict["state"].get(index, {})
            self._states[index] = {
                key: value.to(parameter.device, torch.float32 if key == "step" else parameter.dtype)
                for key, value in state.items()
            }
        (group,) = state_dict["param_groups"]
        self.param_groups[0].update({**group, "params": self._parameters})


class FusedSGD(FusedOptimizer):
    """As ``torch.optim.SGD`` with ``fused=True``: `lr`, `momentum`, `nesterov`, `weight_decay`."""

    def _update(
        self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict[str, Tensor]]
    ) -> None:
        group = self.param_groups[0]
        if group["momentum"] == 0:
            self._call(group, parameters, gradients, [], False)
            return
        fresh = [not state for state in states]
        for state, gradient in zip(states, gradients, strict=True):
            if not state:
                state["momentum_buffer"] = torch.empty_like(gradient)
        buffers = [state["momentum_buffer"] for state in states]
        if all(fresh) or not any(fresh):
            self._call(group, parameters, gradients, buffers, fresh[0])
            return
        for is_first in (True, False):  # of some parameters it is the first gradient
            picked = [index for index, each in enumerate(fresh) if each == is_first]
            mine, theirs, own = (
                [each[index] for index in picked] for each in (parameters, gradients, buffers)
            )
            self._call(group, mine, theirs, own, is_first)

    @staticmethod
    def _call(
        group: dict[str, Any],
        parameters: list[Tensor],
        gradients: list[Tensor],
        buffers: list[Tensor],
        is_first: bool,
    ) -> None:
        torch._fused_sgd_(
            parameters,
            gradients,
            buffers,
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=is_first,
        )


class FusedAdam(FusedOptimizer):
    """As ``torch.optim.Adam`` with ``fused=True``: `lr`, `betas`, `eps`, `weight_decay`."""

    kernel = staticmethod(torch._fused_adam_)

    def _update(
        self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict[str, Tensor]]
    ) -> None:
        for state, parameter in zip(states, parameters, strict=True):
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        group, steps = self.param_groups[0], [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        self.kernel(
            parameters,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


class FusedAdamW(FusedAdam):
    """As ``torch.optim.AdamW`` with ``fused=True``, with the settings of :class:`FusedAdam`."""

    kernel = staticmethod(torch._fused_adamw_)

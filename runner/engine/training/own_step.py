"""An own training step at work: what it is given of the training, and what it gives back.

Owns that an update of it goes through the precision, the rate and the clipping of the run, as one
of the program's own step does.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from runner.components.optimizers_net import TorchOptimizer
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.components.training_step import Update
from runner.core.keys import keyed_seed
from runner.engine.network.build import Network
from runner.engine.stages.evaluate import autocast

GIVES = "return the loss of the batch, a scalar, and its logits: `return loss, logits`"


def built_update(settings: Settings) -> Update | None:
    """Return an instance of a training's own step, None where it has none.

    What it draws as it is built follows from the run's seed; the global random state is left as it
    was.

    Raises:
        OwnCodeFailed: when own code raises an error, or makes nothing that can be called.
    """
    if settings.train.step is None:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(keyed_seed(settings.seed, "step"))
        return settings.train.step.build()


class OwnUpdate:
    """One update of the weights on a batch, by code of the user's own."""

    def __init__(
        self,
        settings: Settings,
        update: Update,
        network: Network,
        optimizer: TorchOptimizer,
        loss: nn.Module,
    ) -> None:
        """Take what the step is given.

        Args:
            settings: of the training, which name the step.
            update: its instance.
            network: in training mode; the step sees all of its layers.
            optimizer: over its trainable parameters.
            loss: from logits and labels to a scalar.
        """
        train = settings.train
        assert train.step is not None
        self._name = f"'{train.step.own.name}'"
        self._update, self._loss = update, loss
        self._model = _Model(network, train.precision)
        self._optimizer = _Optimizer(optimizer, list(network.trainable()), train.clip_grad_norm)
        optimizer.zero_grad(set_to_none=True)  # a training that goes on has none either

    def __call__(
        self, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Update the weights; return the loss, a float32 scalar, and the logits, both detached.

        Args:
            inputs: (B, …), on the device of the network.
            labels: (B,), likewise.
            generator: on the CPU, seeded for this step.

        Raises:
            OwnCodeFailed: when the step gives something else.
        """
        with torch.enable_grad():
            found: Any = self._update(
                self._model, inputs, labels, self._loss, self._optimizer, generator
            )
        loss, logits = self._checked(found, len(labels))
        return loss.detach().to(inputs.device, torch.float32), logits.detach()

    def _checked(self, found: Any, count: int) -> tuple[Tensor, Tensor]:
        if not isinstance(found, tuple) or len(found) != 2:
            raise self._no(f"gives {_shown(found)}, not a loss and logits")
        loss, logits = found
        if not isinstance(loss, Tensor) or loss.shape:
            raise self._no(f"gives {_shown(loss)} as its loss, not a scalar")
        is_right = isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == count
        if not is_right or not logits.is_floating_point():
            raise self._no(f"gives {_shown(logits)} as its logits, not ({count}, classes)")
        return loss, logits

    def _no(self, found: str) -> OwnCodeFailed:
        return OwnCodeFailed(f"{self._name} {found}", hint=GIVES)


def _shown(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


class _Model(nn.Module):
    """The network as a step calls it: in the run's precision, with logits in float32.

    Each pass has an autocast of its own: one for the whole step would keep rounded copies of
    weights that the step changes between two passes.
    """

    def __init__(self, network: Network, precision: str) -> None:
        super().__init__()
        self.module = network.module
        self._frozen, self._precision = network.eval_modules, precision
        self.training = network.module.training

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes), float32."""
        with autocast(images.device, self._precision):
            logits: Tensor = self.module(images)
        return logits.float()

    def train(self, mode: bool = True) -> Self:
        """Go into training mode, frozen layers excepted, or into evaluation mode."""
        super().train(mode)
        for each in self._frozen:
            each.eval()
        return self


class _Optimizer:
    """The optimizer as a step calls it: gradients are clipped before each update."""

    def __init__(
        self, optimizer: TorchOptimizer, weights: list[nn.Parameter], limit: float | None
    ) -> None:
        self._optimizer, self._weights, self._limit = optimizer, weights, limit

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The weights under ``params``, and the rate in force under ``lr``."""
        return self._optimizer.param_groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take all gradients away."""
        self._optimizer.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Clip the gradients, where the run does, and update the weights."""
        if self._limit is not None:
            nn.utils.clip_grad_norm_(self._weights, self._limit)
        self._optimizer.step()

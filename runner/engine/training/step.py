"""A step of a training: forward, loss, backward and update on a batch.

Every random draw is keyed by epoch and step. Knows neither epochs nor where batches come from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from runner.components.optimizers_net import TorchOptimizer
from runner.components.own.component import OwnComponent
from runner.components.settings import Settings
from runner.components.training_step import Update
from runner.core.keys import keyed_seed
from runner.engine.network.build import Network
from runner.engine.network.drawing import may_draw
from runner.engine.stages.evaluate import autocast
from runner.engine.training.own_step import OwnUpdate, built_update

HOST = torch.device("cpu")


class TrainingStep:
    """One update of the weights on a batch: what a training does, and what a probe times."""

    def __init__(
        self,
        settings: Settings,
        network: Network,
        optimizer: TorchOptimizer,
        weights: Tensor | None = None,
        update: Update | None = None,
    ) -> None:
        """Take what a step needs.

        Args:
            settings: of the training.
            network: in training mode.
            optimizer: over its trainable parameters.
            weights: of the classes in the loss, (outputs,) float32 on the device of the network, or
                None.
            update: the instance of a step of the user's own, which lasts for a whole training;
                where the settings name one and it is not given, a new one.
        """
        self._settings, self._network, self._optimizer = settings, network, optimizer
        self._criterion = settings.train.loss.build(weights)
        train = settings.train
        parts = (settings.model, train.loss, train.optimizer, train.step)
        self._is_own = any(isinstance(part, OwnComponent) for part in parts)
        if self._is_own:  # own constants of a loss are made on the CPU
            self._criterion.to(next(network.module.parameters()).device)
        self._may_draw = self._is_own or may_draw(network.active, self._criterion)
        self._own = None
        if train.step is not None:
            update = built_update(settings) if update is None else update
            assert update is not None
            self._own = OwnUpdate(settings, update, network, optimizer, self._criterion)

    def __call__(
        self, epoch: int, step: int, inputs: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update the weights once; return the batch's mean loss and its logits, both detached.

        Args:
            epoch: from 1.
            step: of the epoch, from 1.
            inputs: (B, …), on the device of the network.
            labels: (B,), likewise.
        """
        settings, train = self._settings, self._settings.train
        if self._may_draw:
            seed = keyed_seed(settings.seed, "dropout", epoch, step)
            seed_generator(inputs.device, seed)
            if self._is_own and inputs.device.type != "cpu":
                seed_generator(HOST, seed)  # own code may draw there, too
        if self._own is not None:
            drawn = torch.Generator().manual_seed(keyed_seed(settings.seed, "step", epoch, step))
            return self._own(inputs, labels, drawn)
        with autocast(inputs.device, train.precision):
            logits = self._network(inputs)
        loss: Tensor = self._criterion(logits.float(), labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if train.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self._network.trainable(), train.clip_grad_norm)
        self._optimizer.step()
        return loss.detach(), logits.detach()


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed the generator that dropout draws from on the device, and no other.

    ``torch.manual_seed`` seeds all devices, used or not, which takes longer than a step of a small
    network.
    """
    if device.type == "mps":
        torch.mps.manual_seed(seed)
    elif device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)

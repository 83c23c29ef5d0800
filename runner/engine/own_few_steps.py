"""A training of a few steps on random images, on the CPU: what the probes of own networks watch.

Owns what such a training goes on from, which is what a checkpoint of a real one holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from runner.components.settings import Settings
from runner.engine.network.build import build_network, load_state, own_state
from runner.engine.network.split import SplitNetwork
from runner.engine.training.checkpoint import optimizer_tensors, restore_optimizer
from runner.engine.training.own_step import built_update
from runner.engine.training.step import TrainingStep

Shape = tuple[int, int, int]
IMAGES = 4
"""Images of a batch."""
HOST = torch.device("cpu")


class State(NamedTuple):
    """All that a training goes on from: tensors of both, and the optimizer's plain numbers."""

    network: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    numbers: str


class FewSteps:
    """A training of a few steps.

    Attributes:
        network: what is trained.
        split: its two parts, where it is trained on what the first gives; else None.
        outputs: width of its last layer.
        update: the step of the user's own by which it is trained, or None.
    """

    def __init__(
        self,
        settings: Settings,
        shape: Shape,
        num_classes: int,
        on_features: bool = False,
        rate: float | None = None,
    ) -> None:
        """Build the network; with ``on_features``, one that can be split.

        A ``rate`` is in force instead of the optimizer's.
        """
        self.network = build_network(settings, shape, num_classes, HOST)
        self.split: SplitNetwork | None = self.network.split() if on_features else None
        trained = self.network
        if self.split is not None:
            trained = replace(self.network, active=self.split.head)
        self._optimizer = settings.train.optimizer.build(list(self.network.trainable()))
        if rate is not None:
            self.set_rate(rate)
        weighted = settings.train.loss.class_weights is not None
        outputs = num_classes if settings.model.classes is None else settings.model.classes
        weights = torch.ones(outputs) if weighted else None
        self.outputs, self.update = outputs, built_update(settings)
        self._step = TrainingStep(settings, trained, self._optimizer, weights, self.update)
        self._shape, self._classes = shape, num_classes

    def set_rate(self, rate: float) -> None:
        """Let another rate be in force."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def images(self, number: int) -> Tensor:
        """Return the images of a step, (IMAGES, C, H, W) float32."""
        generator = torch.Generator().manual_seed(number)
        return torch.randn((IMAGES, *self._shape), generator=generator)

    def steps(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Take steps on batches that follow from their numbers; return the last loss and logits."""
        self.network.train()
        found = torch.zeros(()), torch.zeros(0)
        for number in range(first, last + 1):
            inputs = self.images(number)
            if self.split is not None:
                with torch.no_grad():
                    inputs = self.split.prefix(inputs)
            labels = (torch.arange(IMAGES) + number) % self._classes
            found = self._step(1, number, inputs, labels)
        return found

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, classes) of images in evaluation mode."""
        self.network.eval()
        with torch.no_grad():
            logits: Tensor = self.network.module(images.clone())
        return logits.clone()

    def tensors(self) -> dict[str, Tensor]:
        """Return a copy of all weights and buffers, frozen ones too."""
        state = self.network.module.state_dict()
        return {name: tensor.detach().clone() for name, tensor in state.items()}

    def state(self) -> State:
        """Return what a checkpoint would hold.

        Raises:
            TypeError: where the optimizer keeps what no checkpoint can.
        """
        own = {name: each.clone() for name, each in own_state(self.network).items()}
        tensors, others = optimizer_tensors(self._optimizer)
        kept = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        return State(own, kept, json.dumps(others))

    def load(self, state: State) -> None:
        """Go on from a state."""
        load_state(self.network, state.network)
        kept = {name: tensor.clone() for name, tensor in state.optimizer.items()}
        restore_optimizer(self._optimizer, kept, json.loads(state.numbers))


def are_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Return whether tensors are the same to the bit, by name."""
    return one.keys() == other.keys() and all(
        torch.equal(tensor.nan_to_num(), other[name].nan_to_num()) for name, tensor in one.items()
    )

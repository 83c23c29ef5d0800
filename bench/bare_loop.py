"""The bare loop: a training in plain torch, with nothing but what its numbers need.

Starts from given weights and gives every number that the engine records of an epoch: the loss of
each step, the averages of the pass, the evaluations, and the weights of the best epoch. Uses
resident normalised floats, torch's fused optimizers and its own code throughout; of the program it
takes the keys of the random draws and the sizes of evaluated batches, for the numbers depend on
them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from runner.components.losses import CrossEntropy
from runner.components.settings import Settings
from runner.core.keys import keyed_seed

SPLITS = {"train_eval": "train", "val": "val", "test": "test"}


@dataclass(frozen=True)
class Data:
    """What a training sees.

    Attributes:
        pixels: uint8 (N, H, W, C).
        labels: of each.
        splits: indices of each split.
        channels_last: how batches lie in memory.
        sizes: of the batches in which each metric split is evaluated, in order.
    """

    pixels: NDArray[np.uint8]
    labels: Sequence[int]
    splits: Mapping[str, Tensor]
    channels_last: bool
    sizes: Mapping[str, Sequence[int]]


@dataclass
class Epoch:
    """The numbers of an epoch: the loss of each step, and metrics by full name."""

    losses: list[float]
    metrics: dict[str, float] = field(default_factory=dict)


class BareLoop:
    """A training of a network, epoch after epoch."""

    def __init__(
        self, settings: Settings, network: nn.Module, data: Data, device: torch.device
    ) -> None:
        """Hold the data as floats on the device, and a copy of the network."""
        assert settings.train.augment is None, "the bare loop does not augment"
        assert settings.train.clip_grad_norm is None, "the bare loop does not clip"
        loss = settings.train.loss
        assert isinstance(loss, CrossEntropy), "the bare loop has one loss"
        assert loss.class_weights is None, "the bare loop does not weight classes"
        assert settings.train.sampling == "shuffled", "the bare loop shows each image once"
        self._smoothing = loss.label_smoothing
        self._settings, self._device = settings, device
        self._network = copy.deepcopy(network)
        self._is_random = any(
            isinstance(each, nn.Dropout) and each.p > 0 for each in network.modules()
        )
        floats = _normalised(data.pixels, settings, device)
        self._shape = floats.shape[1:]
        self._channels_last = data.channels_last
        if not data.channels_last:
            floats = floats.permute(0, 3, 1, 2).contiguous()
            self._shape = floats.shape[1:]
        labels = torch.tensor(data.labels, device=device)
        self._order = data.splits["train"]
        self._rows, self._labels = floats.view(len(floats), -1), labels
        self._evaluated = {
            name: list(self._cut(data.splits[SPLITS[name]].to(device), sizes))
            for name, sizes in data.sizes.items()
        }
        self._optimizer = _optimizer(settings, self._network)
        self._history: list[dict[str, float]] = []
        self.best: tuple[int, dict[str, Tensor]] = (0, {})

    def _cut(self, indices: Tensor, sizes: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        for part in torch.split(indices, list(sizes)):
            yield self._images(part), self._labels[part]

    def _images(self, indices: Tensor) -> Tensor:
        images = self._rows.index_select(0, indices).view(-1, *self._shape)
        return images.permute(0, 3, 1, 2) if self._channels_last else images

    def epoch(self) -> Epoch:
        """Train and evaluate once more."""
        number = len(self._history) + 1
        train = self._settings.train
        rate = train.schedule.lr_at(train.optimizer.lr, number, train.epochs, self._history)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        done = self._pass(number)
        for name, batches in self._evaluated.items():
            done.metrics |= self._evaluate(name, batches)
        self._history.append(done.metrics)
        monitored = [each.get("val_accuracy", 0.0) for each in self._history]
        if monitored[-1] > max(monitored[:-1], default=-1.0):
            self.best = number, {k: v.clone() for k, v in self._network.state_dict().items()}
        return done

    def _pass(self, epoch: int) -> Epoch:
        seed, size = self._settings.seed, self._settings.train.batch_size
        generator = torch.Generator().manual_seed(keyed_seed(seed, "order", epoch))
        order = self._order[torch.randperm(len(self._order), generator=generator)]
        order = order.to(self._device)
        if self._settings.train.drop_last:
            order = order[: len(order) // size * size]
        self._network.train()
        kept: list[Tensor] = []
        scores: list[Tensor] = []
        batches = torch.split(order, size)
        for step, indices in enumerate(batches, start=1):
            inputs, labels = self._images(indices), self._labels[indices]
            if self._is_random:
                self._seed(keyed_seed(seed, "dropout", epoch, step))
            self.step(inputs, labels, kept, scores)
        losses: list[float] = torch.stack(kept).tolist()
        total = 0.0
        for loss, indices in zip(losses, batches, strict=True):
            total += loss * len(indices)
        right = int((torch.cat(scores).argmax(1) == self._labels[order]).sum())
        metrics = {"train_loss": total / len(order), "train_accuracy": right / len(order)}
        return Epoch(losses, metrics)

    def step(
        self, inputs: Tensor, labels: Tensor, kept: list[Tensor], scores: list[Tensor]
    ) -> None:
        """Update the weights on a batch; append its loss and its logits, both detached."""
        with self._autocast():
            logits = self._network(inputs)
        logits = logits.float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._smoothing)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        kept.append(loss.detach())
        scores.append(logits.detach())

    def _evaluate(self, name: str, batches: Sequence[tuple[Tensor, Tensor]]) -> dict[str, float]:
        self._network.eval()
        losses, rights, count = [], [], 0
        with torch.inference_mode():
            for inputs, labels in batches:
                with self._autocast():
                    logits = self._network(inputs)
                logits = logits.float()
                each = functional.cross_entropy(logits, labels, reduction="none")
                losses.append(each.double().sum())
                rights.append((logits.argmax(1) == labels).sum())
                count += len(labels)
            found = torch.stack([*losses, *rights]).tolist()
        loss, right = sum(found[: len(losses)]), sum(found[len(losses) :])
        return {f"{name}_loss": loss / count, f"{name}_accuracy": right / count}

    def _autocast(self) -> AbstractContextManager[object]:
        if self._settings.train.precision == "bf16":
            return torch.autocast(self._device.type, torch.bfloat16)
        return nullcontext()

    def _seed(self, seed: int) -> None:
        if self._device.type == "cuda":
            torch.cuda.default_generators[self._device.index or 0].manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)


def _normalised(pixels: NDArray[np.uint8], settings: Settings, device: torch.device) -> Tensor:
    """Return the images as floats, (N, H, W, C)."""
    mean, std = settings.data.normalization()
    floats = torch.from_numpy(np.array(pixels)).to(device).to(torch.float32)
    factors = [torch.tensor(each, device=device) * 255 for each in (mean, std)]
    return floats.sub_(factors[0]).div_(factors[1])


def _optimizer(settings: Settings, network: nn.Module) -> torch.optim.Optimizer:
    chosen = settings.train.optimizer
    weights = [each for each in network.parameters() if each.requires_grad]
    if chosen.name == "sgd":
        return torch.optim.SGD(
            weights,
            lr=chosen.lr,
            momentum=chosen.momentum,
            nesterov=chosen.nesterov,
            weight_decay=chosen.weight_decay,
            fused=True,
        )
    kind = torch.optim.Adam if chosen.name == "adam" else torch.optim.AdamW
    return kind(
        weights,
        lr=chosen.lr,
        betas=chosen.betas,
        eps=chosen.eps,
        weight_decay=chosen.weight_decay,
        fused=True,
    )

"""Measuring a few images and steps, to say how long a stage will take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import assert_never

import torch

from runner.components.analyses import typed_analysis
from runner.components.data.dataset import ImageSource
from runner.components.data.splitting import Split
from runner.components.settings import METRIC_SPLITS, Precision, Settings, evaluated_each_epoch
from runner.core.stages import Analyse, Evaluate, ExtractFeatures, Prepare, Stage, Train
from runner.engine.arithmetic import computing, in_format, memory_format
from runner.engine.data.augment import Augmenter
from runner.engine.data.samples import evaluation_batch_size
from runner.engine.memory import keep_freed_memory
from runner.engine.network.build import Network, Shape, build_network
from runner.engine.network.split import features_shape
from runner.engine.numerics import Numerics, on_threads
from runner.engine.stages.evaluate import autocast
from runner.engine.stages.prepare import decoded
from runner.engine.training.step import TrainingStep

WARM_STEPS = 2
STEPS = 5
SAMPLE = 48
"""Images that are decoded at a time."""
LARGEST = 1024
"""The most images that are decoded."""
ENOUGH = 0.2
"""Seconds of decoding that say how long the rest takes."""


@dataclass(frozen=True)
class Probe:
    """A run on a device, whose stages are measured.

    Attributes:
        shape: channels, height, width of its images.
        numerics: of this process, on the device where they are measured.
    """

    settings: Settings
    source: ImageSource
    shape: Shape
    numerics: Numerics

    @property
    def device(self) -> torch.device:
        """Where they are measured."""
        return self.numerics.device

    def seconds(self, stage: Stage, together: int = 1) -> float:
        """Return the estimated seconds of a stage, of one epoch where it trains.

        Args:
            stage: the stage.
            together: how many trainings are done together, this one among them: its part of what
                is done once for all of them counts.
        """
        keep_freed_memory()  # as in the stage itself
        precision = self.settings.train.precision
        with on_threads(self.numerics.threads(stage)), computing(self.device, precision):
            return self._seconds(stage, together)

    def _seconds(self, stage: Stage, together: int) -> float:
        match stage:
            case Prepare():
                return self._preparing()
            case ExtractFeatures():
                return self._extracting(stage.prefix.stored_views)
            case Train():
                return self._training(stage, together)
            case Evaluate():
                if stage.from_logits:
                    return 0.0
                network, sample = self.network(stage.on_features)
                images = self._num_images()[METRIC_SPLITS[stage.split]]
                return self._evaluating(network, sample, images)
            case Analyse():
                if stage.from_logits or stage.finds_logits:
                    return 0.0
                network, sample = self.network(False)
                images = typed_analysis(stage.analysis).passes(self._num_images())
                return self._evaluating(network, sample, images)
            case _:
                assert_never(stage)

    def _num_images(self) -> dict[Split, float]:
        """Return about how many images each split has."""
        return self.settings.data.split_sizes(len(self.source.names), self.source.official)

    def _preparing(self) -> float:
        total, data = len(self.source.names), self.settings.data
        some = range(0, total, math.ceil(total / LARGEST))
        num_parts = math.ceil(len(some) / SAMPLE)
        parts = [some[first::num_parts] for first in range(num_parts)]
        list(decoded(self.source, parts[0], data))  # the first images wait for files and imports
        seconds, count, started = 0.0, 0, time.perf_counter()
        for part in parts:
            count += len(list(decoded(self.source, part, data)))
            seconds = time.perf_counter() - started
            if seconds > ENOUGH:
                break
        return seconds * total / count

    def _extracting(self, views: int) -> float:
        return self._evaluating(self._prefix(), self.shape, len(self.source.names) * views)

    def _evaluating(self, network: Network, sample: tuple[int, ...], count: float) -> float:
        size = evaluation_batch_size(sample, self.device)
        precision = self.settings.train.precision
        return _seconds_an_evaluation(network, sample, size, self.device, precision) * count / size

    def _training(self, stage: Train, together: int) -> float:
        settings = self.settings
        shares_prefix = together > 1 and stage.prefix is not None
        on_features = stage.trains_on_features or shares_prefix
        network, sample = self.network(on_features)
        steps = Steps(self, network, sample)
        steps.seconds(WARM_STEPS)
        step = steps.seconds(STEPS)
        if not stage.trains_on_features:
            shared = self.seconds_an_augmentation()
            shared += self._seconds_of_prefix() if shares_prefix else 0.0
            step += shared / together
        sizes = self._num_images()
        evaluated = evaluated_each_epoch(settings, sizes)
        count = sizes["train"] / settings.train.batch_size
        if stage.on_features != on_features:
            network, sample = self.network(stage.on_features)
        return step * count + self._evaluating(network, sample, evaluated)

    def _seconds_of_prefix(self) -> float:
        """Return the seconds that the frozen prefix takes for a batch of training."""
        train = self.settings.train
        network = self._prefix()
        size, precision = train.batch_size, train.precision
        return _seconds_an_evaluation(network, self.shape, size, self.device, precision)

    def seconds_an_augmentation(self) -> float:
        """Return the seconds that augmenting a batch takes, 0 where none is."""
        train = self.settings.train
        if train.augment is None:
            return 0.0
        size = (train.batch_size, *self.shape)
        images = torch.randint(0, 256, size, dtype=torch.uint8, device=self.device)
        mean, _ = self.settings.data.normalization()
        augmenter = Augmenter(train.augment, self.settings.seed, mean)
        augmenter(images, 1, 1)
        started = _now(self.device)
        for step in range(STEPS):
            augmenter(images, 1, 2 + step)
        return (_now(self.device) - started) / STEPS

    def _whole(self) -> Network:
        return build_network(self.settings, self.shape, len(self.source.classes), self.device)

    def _prefix(self) -> Network:
        network = self._whole()
        split = network.split()
        assert split is not None
        return replace(network, active=split.prefix)

    def network(self, on_features: bool) -> tuple[Network, tuple[int, ...]]:
        """Return what is trained or evaluated, and the shape of one sample."""
        network = self._whole()
        split = network.split() if on_features else None
        if split is None:
            return network, self.shape
        return replace(network, active=split.head), features_shape(split, self.shape)


class Steps:
    """Steps of a training on a random batch, to be timed."""

    def __init__(self, probe: Probe, network: Network, sample: tuple[int, ...]) -> None:
        train, self._device = probe.settings.train, probe.device
        optimizer = train.optimizer.build(list(network.trainable()))
        self._take = TrainingStep(probe.settings, network, optimizer)
        self._inputs = _random_batch(train.batch_size, sample, self._device, train.precision)
        self._labels = torch.zeros(train.batch_size, dtype=torch.int64, device=self._device)
        self._network, self._precision = network, train.precision
        self._taken = 0

    def seconds(self, count: int, in_cpu_time: bool = False) -> float:
        """Take so many further steps; return the seconds of one, on a CPU in CPU time if asked."""
        now = _cpu_now if in_cpu_time and self._device.type == "cpu" else _now
        self._network.train()
        with computing(self._device, self._precision):
            started = now(self._device)
            for _ in range(count):
                self._taken += 1
                self._take(1, self._taken, self._inputs, self._labels)
            return (now(self._device) - started) / count


def _seconds_an_evaluation(
    network: Network, shape: tuple[int, ...], size: int, device: torch.device, precision: Precision
) -> float:
    inputs = _random_batch(size, shape, device, precision)
    network.eval()
    with torch.inference_mode(), autocast(device, precision):
        network(inputs)
        started = _now(device)
        network(inputs)
        return _now(device) - started


def _random_batch(
    size: int, shape: tuple[int, ...], device: torch.device, precision: Precision
) -> torch.Tensor:
    inputs = torch.rand((size, *shape), device=device)
    return in_format(inputs, memory_format(device, precision))


def _now(device: torch.device) -> float:
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()
    return time.perf_counter()


def _cpu_now(device: torch.device) -> float:
    return time.process_time()

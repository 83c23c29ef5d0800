"""Measuring a few steps on random images, to say how long an epoch will take."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from runner.engine.augmenting import Augmenter
from runner.engine.device import choose_device
from runner.engine.evaluate import autocast
from runner.engine.images import evaluation_batch_size
from runner.engine.network import Network, Shape, build_network
from runner.engine.prefix import features_shape
from runner.spec.settings import Settings

WARM_STEPS = 2
STEPS = 5


def probe_epoch(
    settings: Settings,
    shape: Shape,
    num_classes: int,
    num_images: int,
    num_test: int,
    device: str,
    on_features: bool = False,
) -> float:
    """Return estimated seconds of an epoch: training, and what is evaluated after it.

    Args:
        settings: of the run.
        shape: channels, height, width.
        num_classes: of the data.
        num_images: all images, those for testing among them.
        num_test: images for testing.
        device: name of the device.
        on_features: whether the network's frozen prefix is computed beforehand.
    """
    where = choose_device(device)
    train, data = settings.train, settings.data
    validation = (num_images - num_test) * data.validation
    training = num_images - num_test - validation
    training = training if data.train_images is None else min(training, data.train_images)
    network = build_network(settings, shape, num_classes, where)
    sample: tuple[int, ...] = shape
    halves = network.halves() if on_features else None
    if halves is not None:
        sample = features_shape(halves, shape)
        network = replace(network, body=halves.rest)
    step = _seconds_a_step(settings, network, sample, where)
    if train.augment is not None and halves is None:
        step += _seconds_an_augmentation(settings, shape, where)
    size = evaluation_batch_size(sample)
    batch = _seconds_an_evaluation(network, sample, size, where, train.precision)
    evaluated = validation
    evaluated += training if settings.evaluate.train_eval == "full" else 0
    evaluated += num_test if settings.evaluate.test == "each_epoch" else 0
    return step * training / train.batch_size + batch * evaluated / size


def _seconds_a_step(
    settings: Settings, network: Network, shape: tuple[int, ...], device: torch.device
) -> float:
    train = settings.train
    optimizer = train.optimizer.build(list(network.trainable()))
    criterion = train.loss.build()
    inputs = _random_batch(train.batch_size, shape, device)
    labels = torch.zeros(train.batch_size, dtype=torch.int64, device=device)
    network.train()
    started = 0.0
    for step in range(WARM_STEPS + STEPS):
        if step == WARM_STEPS:
            started = _now(device)
        with autocast(device, train.precision):
            logits = network(inputs)
        optimizer.zero_grad(set_to_none=True)
        criterion(logits.float(), labels).backward()
        optimizer.step()
    return (_now(device) - started) / STEPS


def _seconds_an_augmentation(settings: Settings, shape: Shape, device: torch.device) -> float:
    train = settings.train
    assert train.augment is not None
    size = (train.batch_size, *shape)
    images = torch.randint(0, 256, size, dtype=torch.uint8, device=device)
    augmenter = Augmenter(train.augment, settings.seed, settings.data.normalization()[0])
    augmenter(images, 1, 1)
    started = _now(device)
    for step in range(STEPS):
        augmenter(images, 1, 2 + step)
    return (_now(device) - started) / STEPS


def _seconds_an_evaluation(
    network: Network, shape: tuple[int, ...], size: int, device: torch.device, precision: str
) -> float:
    inputs = _random_batch(size, shape, device)
    network.eval()
    with torch.inference_mode(), autocast(device, precision):
        network(inputs)
        started = _now(device)
        network(inputs)
        return _now(device) - started


def _random_batch(size: int, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    inputs = torch.rand((size, *shape), device=device)
    return inputs.contiguous(memory_format=torch.channels_last) if len(shape) == 3 else inputs


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()

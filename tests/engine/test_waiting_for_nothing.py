"""A pass never waits for the device between its steps, and few kernels are not the network's."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import MLP, SYNTHETIC, Bench, reading_of, settings_of
from test_batches import Kernels
from torch import Tensor

from runner.components.measures import STANDARD
from runner.components.settings import Settings
from runner.engine.context import Context, Progress
from runner.engine.data import samples
from runner.engine.network.build import build_network
from runner.engine.training import loop, meter
from runner.engine.training.meter import Meter
from runner.engine.training.reading import Reading
from runner.engine.training.state import TrainState
from runner.engine.training.together import take_steps

CNN = {"name": "convnet", "filters": [4], "batch_norm": True, "dropout": 0.3}
META = torch.device("meta")


class AtTheEnd(Exception):
    """The pass wants to read what it has measured."""


class LateReading(Reading):
    """Numbers that arrive some steps after they were asked for, as from a busy GPU."""

    def __init__(self, lists: Any) -> None:
        super().__init__(lists)
        self.polls = 0

    def is_there(self) -> bool:
        self.polls += 1
        return self.polls > 3


class NeverThere:
    """Numbers that never arrive, and are not copied."""

    def __init__(self, lists: Any) -> None:
        assert any(lists)

    def is_there(self) -> bool:
        return False


@contextmanager
def read_at_the_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def read(self: Meter) -> None:
        raise AtTheEnd

    monkeypatch.setattr(Meter, "read", read)
    monkeypatch.setattr(meter, "Reading", NeverThere)
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)
    with pytest.raises(AtTheEnd):
        yield


def a_pass(bench: Bench, images: samples.Images, device: torch.device) -> Any:
    """Do a pass over the images, which are moved to the device first."""
    images._pixels, images._labels = images._pixels.to(device), images._labels.to(device)
    images.device = images.home = device
    settings = bench.settings
    network = build_network(settings, images.shape, len(images.classes), device)
    optimizer = settings.train.optimizer.build(list(network.trainable()))
    state = TrainState(network, optimizer, {})
    return losses_of_a_pass(bench, images, state)


def losses_of_a_pass(bench: Bench, images: samples.Images, state: TrainState) -> list[float]:
    training = loop.Training(bench.context(), bench.settings, {}, images, state)

    def left(_: loop.Training, error: Exception | None) -> None:
        assert error is not None
        raise error

    take_steps([training], left)
    training._meter.read()
    return training._meter.losses


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_no_step_with_weighted_classes_reads_a_value(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = {"name": name, "class_weights": [1.0, 2.0, 0.5]}
    bench = Bench(tmp_path, settings_of({"loss": loss, "sampling": "balanced"}, MLP))
    images = bench.images()
    monkeypatch.setattr(torch, "_fused_sgd_", lambda *_, **others: None)
    with read_at_the_end(monkeypatch):
        a_pass(bench, images, META)


@pytest.mark.slow
@pytest.mark.parametrize("values", [1 << 27, 0])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("model", [MLP, CNN])
def test_no_step_of_a_pass_reads_a_value(
    model: Any, optimizer: str, values: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "FLOAT_BYTES", values)
    settings = settings_of({"optimizer": {"name": optimizer, "lr": 0.1}}, model)
    bench = Bench(tmp_path, settings)
    images = bench.images()
    for kernel in ("_fused_sgd_", "_fused_adam_"):  # not every version has them for meta tensors
        monkeypatch.setattr(torch, kernel, lambda *_, **others: None)
    with read_at_the_end(monkeypatch):
        a_pass(bench, images, META)


def test_to_read_a_value_on_the_meta_device_fails() -> None:
    with pytest.raises(RuntimeError):
        float(torch.zeros((), device=META))
    with pytest.raises(NotImplementedError):
        torch.zeros((), device=META).cpu()


@pytest.mark.parametrize(("values", "most"), [(1 << 27, 4), (0, 7)])
def test_batch_and_meter_are_few_kernels_a_step(
    values: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "FLOAT_BYTES", values)
    images = Bench(tmp_path, settings_of()).images()
    counter = Meter(1, 1, 3, STANDARD)
    logits, loss = torch.randn(12, 3), torch.ones(())
    counts = []
    with Kernels() as kernels:
        for _, labels in images.training_batches(0, 1, 12, False):
            counter.add(loss, logits, labels)
            counts.append(len(kernels.names))
    assert [after - before for before, after in pairwise(counts)] == [most] * 2


def test_numbers_that_come_late_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)
    settings = settings_of({"batch_size": 3})
    at_once, late = Bench(tmp_path / "a", settings), Bench(tmp_path / "b", settings)
    told: dict[str, list[Progress]] = {}
    for name, bench in [("at once", at_once), ("late", late)]:
        if name == "late":
            monkeypatch.setattr(meter, "Reading", LateReading)
        told[name] = progress_of(bench, monkeypatch)
        bench.train()
    for epoch in (1, 2, 3):
        ours, theirs = at_once.records[1, epoch], late.records[1, epoch]
        assert replace(ours, seconds=0.0) == replace(theirs, seconds=0.0)
    first = [each for each in told["late"] if each.epoch == 1 and not each.split]
    assert [each.done for each in first] == [1, 5, 9]
    assert all(each in told["at once"] for each in first)


def progress_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Progress]:
    told: list[Progress] = []
    context: Context = bench.context()
    monkeypatch.setattr(bench, "context", lambda: replace(context, on_progress=told.append))
    return told


def test_a_divergence_that_is_seen_late_is_recorded_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(meter, "Reading", LateReading)
    steps: list[int] = []
    real = loop.TrainingStep.__call__

    def step(self: Any, epoch: int, number: int, *batch: Tensor) -> Any:
        steps.append(number)
        return real(self, epoch, number, *batch)

    monkeypatch.setattr(loop.TrainingStep, "__call__", step)
    huge = {"optimizer": {"name": "sgd", "lr": 1e30}, "epochs": 4, "batch_size": 2}
    bench = Bench(tmp_path, settings_of(huge))
    outcome = bench.train()
    assert reading_of(outcome)["diverged"] == {"epoch": 1, "step": 2}
    assert len(bench.read(outcome)[0].step_losses) == 2
    assert not math.isfinite(bench.read(outcome)[0].step_losses[-1])
    assert max(steps) < 18, "the pass ends when it is seen"


PIPELINES: list[Any] = [
    None,
    [{"name": "RandomHorizontalFlip"}, {"name": "RandomCrop", "size": 8, "padding": 2}],
    [{"name": "RandomEqualize"}, {"name": "RandomErasing", "value": "mean"}],
    [{"name": "ColorJitter", "brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.2}],
    [{"name": "RandomGrayscale"}, {"name": "RandomAdjustSharpness", "sharpness_factor": 2}],
    [{"name": "RandomPerspective"}, {"name": "RandomAffine", "degrees": 20}],
    [{"name": "RandomRotation", "degrees": 30}, {"name": "RandomResizedCrop", "size": 8}],
    [{"name": "one_of", "choices": [[], [{"name": "GaussianBlur", "kernel_size": 3}]]}],
]


@pytest.mark.gpu
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("steps", PIPELINES)
def test_no_step_of_a_pass_on_a_gpu_waits(
    steps: Any, resident: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not resident:
        monkeypatch.setattr(samples, "ON_DEVICE_BYTES", 0)
    cuda = torch.device("cuda")
    augment = {} if steps is None else {"augment": {"steps": steps}}
    bench = Bench(tmp_path, settings_of({**augment, "batch_size": 6}, CNN, SYNTHETIC))
    bench.images()
    (name,) = bench.stage("prepare").produces
    settings: Settings = bench.settings
    images = samples.Images(bench.context().artifact_path(name), settings.data, cuda)
    network = build_network(settings, images.shape, len(images.classes), cuda)
    optimizer = settings.train.optimizer.build(list(network.trainable()))
    state = TrainState(network, optimizer, {}, next_poll=math.inf)
    losses_of_a_pass(bench, images, state)  # memory and kernels are made
    torch.cuda.synchronize()
    given = images.training_batches

    def batches(*arguments: Any) -> Any:
        made = given(*arguments)
        first = next(made)  # the order goes to the device before the first step
        torch.cuda.set_sync_debug_mode("error")
        yield first
        yield from made
        torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(images, "training_batches", batches)
    try:
        losses = losses_of_a_pass(bench, images, state)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(losses) == 6

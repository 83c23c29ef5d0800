"""The engine beside the bare loop, in turns in one process, their numbers compared in bytes.

The engine's side is its own path: its samples, network, optimizer and epochs. Both sides begin
with the same weights and train the same epochs; where one number differs, nothing is measured. A
GPU repeats itself only where it is made to: there, two epochs are compared in bytes with the
device made to, and the pairs behind them are measured with it as it is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bare_loop import SPLITS, BareLoop, Data, Epoch
from device_time import while_profiled
from measuring import BenchFailed, Clock, Spent

from runner.artifacts.folder import Artifacts
from runner.bind.bound_request import bind_request
from runner.bind.request import Request
from runner.components.settings import Settings, splits_each_epoch
from runner.core.reader import Reader, ReaderState
from runner.engine.arithmetic import computing, memory_format, prepare_repeating
from runner.engine.context import Context
from runner.engine.data.pixels import open_images
from runner.engine.data.samples import Images
from runner.engine.engine import do_stage
from runner.engine.job import StageJob
from runner.engine.network.build import Network, build_network
from runner.engine.numerics import begin_numerics, on_threads
from runner.engine.training.loop import Diverged, Training
from runner.engine.training.state import TrainState
from runner.engine.training.together import take_steps
from runner.lower.trajectory import make_reader, pixels_key

TURN_SECONDS = 0.25
"""One side trains at least so long before the other does."""


@dataclass(frozen=True)
class Pair:
    """One turn of both sides, over the same epochs of so many steps."""

    engine: Spent
    bare: Spent
    steps: int


class EngineSide:
    """The engine's training, epoch after epoch."""

    def __init__(
        self, context: Context, settings: Settings, images: Images, network: Network
    ) -> None:
        reader: Reader = make_reader(settings)
        optimizer = settings.train.optimizer.build(list(network.trainable()))
        self.state = TrainState(network, optimizer, {"run": ReaderState()})
        self._training = Training(context, settings, {"run": reader}, images, self.state)

    def epoch(self) -> Epoch:
        """Train and evaluate once more."""
        take_steps([self._training], _left)
        record = self._training.finish()
        if isinstance(record, Diverged):
            raise BenchFailed(f"the engine's training diverged in epoch {record.epoch}")
        metrics = {f"{each.split}_{each.name}": each.value for each in record.metrics}
        return Epoch(list(record.step_losses), metrics)


def _left(_: Training, error: Exception | None) -> None:
    if error is not None:
        raise error


@dataclass
class Sides:
    """Both sides of a training.

    Attributes:
        switches: of torch, set while either side trains, as in a stage; made to repeat itself or
            not.
        threads: that both have.
        synchronize: waits for the device.
        epochs: trained so far.
        steps: compared so far, in bytes.
    """

    name: str
    engine: EngineSide
    bare: BareLoop
    switches: Callable[[bool], AbstractContextManager[None]]
    threads: int
    synchronize: Callable[[], None] = lambda: None
    epochs: int = 0
    steps: int = 0

    def pair(self, count: int, engine_first: bool, repeating: bool = True) -> Pair:
        """Train so many epochs on each side, compare them, and return what they took.

        Args:
            count: of epochs.
            engine_first: whether the engine's turn is first.
            repeating: whether the device is made to repeat itself; else only the number of steps
                is compared.

        Raises:
            BenchFailed: where a number differs.
        """
        sides: list[Callable[[], Epoch]] = [self.engine.epoch, self.bare.epoch]
        spent: dict[int, Spent] = {}
        found: dict[int, list[Epoch]] = {}
        for which in (0, 1) if engine_first else (1, 0):
            with self.switches(repeating):
                self.synchronize()
                clock = Clock()
                found[which] = [sides[which]() for _ in range(count)]
                self.synchronize()
                spent[which] = clock.spent()
        for one, other in zip(found[0], found[1], strict=True):
            self.epochs += 1
            if repeating:
                self.steps += len(one.losses)
                compare(self.name, self.epochs, one, other)
            elif len(one.losses) != len(other.losses):
                raise BenchFailed(f"{self.name}: epoch {self.epochs} has other steps bare")
        return Pair(spent[0], spent[1], sum(len(each.losses) for each in found[0]))

    def compare_best(self) -> None:
        """Compare the weights that both sides have kept.

        Raises:
            BenchFailed: where one differs.
        """
        epoch, kept = self.bare.best
        own = self.engine.state.best.get(epoch)
        if own is None:
            raise BenchFailed(f"{self.name}: the engine did not keep the weights of epoch {epoch}")
        for name, tensor in kept.items():
            if not torch.equal(own[name], tensor):
                raise BenchFailed(f"{self.name}: the kept weights {name} differ")


def compare(name: str, epoch: int, engine: Epoch, bare: Epoch) -> None:
    """Hold the numbers of an epoch of both sides against one another, in bytes.

    Raises:
        BenchFailed: where one differs, with the place and both values.
    """
    where = f"{name}: epoch {epoch}"
    if len(engine.losses) != len(bare.losses):
        steps = f"{len(engine.losses)} steps of the engine, {len(bare.losses)} of the bare loop"
        raise BenchFailed(f"{where} has {steps}")
    for step, (one, other) in enumerate(zip(engine.losses, bare.losses, strict=True), start=1):
        if not _equal(one, other):
            raise BenchFailed(f"{where}, step {step}: loss {one!r} of the engine, {other!r} bare")
    if engine.metrics.keys() != bare.metrics.keys():
        odd = ", ".join(sorted(engine.metrics.keys() ^ bare.metrics.keys()))
        raise BenchFailed(f"{where}: one side alone has {odd}")
    for metric, value in engine.metrics.items():
        if not _equal(value, bare.metrics[metric]):
            both = f"{value!r} of the engine, {bare.metrics[metric]!r} bare"
            raise BenchFailed(f"{where}, {metric}: {both}")


def _equal(one: float, other: float) -> bool:
    return np.float64(one).tobytes() == np.float64(other).tobytes()


def make_sides(
    spec: Path, data: Path | None, device: torch.device, changes: Sequence[str] = ()
) -> Sides:
    """Prepare the images of a spec's first cell, and return both sides of its training."""
    if device.type == "cuda":
        prepare_repeating()  # before this process uses CUDA
    numerics = begin_numerics(device)
    sets = ("train.epochs=100000", *changes)
    request = Request(
        (spec,), sets=sets, db=spec.parent / "pairs.db", data=data, device=str(device)
    )
    cell = bind_request(request).cells[0]
    settings, source = cell.resolved.settings, cell.source
    assert source is not None
    key = pixels_key(settings.data, source.fingerprint)
    context = Context(
        spec.parent / ".runner", device, numerics.of_machine(), "bench", {key: source}
    )
    prepare, train, *_ = cell.chain(0)
    do_stage(context, StageJob(prepare, 1, lambda _: None, lambda _: True, {}))
    form = memory_format(device, settings.train.precision)
    images = open_images(context, key, settings.data, form)
    network = build_network(settings, images.shape, len(images.classes), device)
    bare = BareLoop(settings, network.module, _data(context, key, settings, images), device)
    engine = EngineSide(context, settings, images, network)
    threads = numerics.threads(train)

    @contextmanager
    def switches(repeating: bool) -> Iterator[None]:
        with on_threads(threads), computing(device, settings.train.precision, repeating):
            yield

    def synchronize() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return Sides(spec.stem, engine, bare, switches, threads, synchronize)


def _data(context: Context, key: str, settings: Settings, images: Images) -> Data:
    folder = Artifacts(context.folder, context.database).path(f"pixels/{key}")
    evaluated = splits_each_epoch(settings)
    sizes = {
        name: [len(labels) for _, labels in images.evaluation_batches(SPLITS[name])]  # type: ignore[arg-type]
        for name in evaluated
    }
    sample = images.inputs(torch.arange(2))
    return Data(
        np.load(folder / "pixels.npy", mmap_mode="r"),
        images.index["labels"],
        images.splits,  # type: ignore[arg-type]
        sample.is_contiguous(memory_format=torch.channels_last),
        sizes,
    )


def measure(sides: Sides, pairs: int, repeats: bool = True) -> list[Pair]:
    """Return what the sides took in so many turns, after two that are not counted.

    Args:
        sides: of a training.
        pairs: how many turns of both.
        repeats: whether the device repeats itself without being made to, so that all turns are
            compared in bytes, and not the first two alone.

    Raises:
        BenchFailed: where their numbers differ.
    """
    sides.pair(1, engine_first=True)
    sides.pair(1, engine_first=False)
    if not repeats:
        sides.compare_best()
    warm = sides.pair(1, engine_first=True, repeating=repeats)
    seconds = max(min(warm.engine.wall, warm.bare.wall), 1e-6)
    count = max(1, math.ceil(TURN_SECONDS / seconds))
    found = []
    for number in range(pairs):
        found.append(sides.pair(count, number % 2 == 0, repeats))
        print(f"\r{sides.name}: pair {number + 1} of {pairs}", end="", file=sys.stderr)
    print(file=sys.stderr)
    if repeats:
        sides.compare_best()
    return found


def facts(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the figures of pairs: engine over bare by clock, and milliseconds a step."""
    return {
        "wall": [each.engine.wall / each.bare.wall for each in pairs],
        "cpu": [each.engine.cpu / each.bare.cpu for each in pairs],
        "engine_ms": [1000 * each.engine.wall / each.steps for each in pairs],
        "bare_ms": [1000 * each.bare.wall / each.steps for each in pairs],
    }


def device_ms(sides: Sides) -> dict[str, float]:
    """Return for how many milliseconds a step a GPU computes, of an epoch of either side.

    Evaluation counts. Held against the milliseconds of steps that were not profiled, for the
    profiler slows them down, the rest is the time in which the GPU has nothing to do.
    """
    found = {}
    turns = {"engine_busy_ms": sides.engine.epoch, "bare_busy_ms": sides.bare.epoch}
    for name, epoch in turns.items():
        with sides.switches(False):
            done, milliseconds = while_profiled(epoch, sides.synchronize)
        found[name] = milliseconds / len(done.losses)
    return found

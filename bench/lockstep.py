"""What runs on one stream of augmented batches would save by training in step with one another.

    python bench/lockstep.py rates                  four rates on a frozen AlexNet, R1.4's pipelines
    python bench/lockstep.py catalogue              what the specs in experiments/ have of it

Trainings share a stream where data, augmentation, batch size and seed are equal. In step with one
another they would augment each batch once and compute one frozen prefix of it; now each does both.
Measured are the parts of an epoch, in CPU milliseconds an image of training at one thread, and what
the trainings of a stream take now and would take is the sum of their parts. `rates` also checks
that the head on the prefix of a batch trains as the whole network does, byte for byte. The rows are
written into bench/results/lockstep.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from measuring import ROOT, BenchFailed, machine, record
from torch import Tensor

from runner.components.settings import Settings, evaluated_each_epoch
from runner.core.keys import canonical_json
from runner.engine.arithmetic import in_format, memory_format
from runner.engine.data.augment import Augmenter
from runner.engine.data.normalisation import Normalisation
from runner.engine.data.samples import evaluation_batch_size
from runner.engine.memory import keep_freed_memory
from runner.engine.network.build import Network, build_network
from runner.engine.stages.evaluate import autocast
from runner.engine.training.step import TrainingStep
from runner.spec.experiment import load_experiment

CPU = torch.device("cpu")
REPORT = "lockstep"
COUNTS = (2, 4, 8)
IMAGES, CLASSES = 9000, 100
"""Of a made-up data set: the shares of its splits matter, and about how many classes it has."""
LARGEST = 64
"""The largest batch of a network that is trained whole: an image takes the same in larger ones."""
SIDES = {"caltech101": 224, "cifar10": 32, "cifar100": 32}


@dataclass(frozen=True)
class Parts:
    """CPU milliseconds an image of training.

    Attributes:
        augment: a batch augmented and normalised.
        prefix: forward through the frozen prefix; 0 without one.
        step: forward, backward and update of what is trained.
        evaluate: what is evaluated for each image of training, on features where there is a prefix.
        evaluate_prefix: the frozen prefix of these images, as it was before they were features.
    """

    augment: float
    prefix: float
    step: float
    evaluate: float
    evaluate_prefix: float

    @property
    def own(self) -> float:
        """What each training does for itself, whatever it shares."""
        return self.step + self.evaluate

    @property
    def alone(self) -> float:
        """What a training takes by itself."""
        return self.augment + self.prefix + self.own


def seconds(work: Callable[[], object], repetitions: int) -> float:
    """Return the fewest CPU seconds of a piece of work; the first time does not count."""
    work()
    least = float("inf")
    for _ in range(repetitions):
        started = time.process_time()
        work()
        least = min(least, time.process_time() - started)
    return least


def measure(settings: Settings, repetitions: int) -> Parts:
    """Measure the parts of an epoch of a run, on made-up images of its shape."""
    train = settings.train
    shape = (3, side_of(settings), side_of(settings))
    network = build_network(settings, shape, CLASSES, CPU)
    split = network.split()
    batch = train.batch_size if split is not None else min(train.batch_size, LARGEST)
    levels = torch.randint(0, 256, (batch, *shape), dtype=torch.uint8)
    levels = levels.contiguous(memory_format=torch.channels_last)
    images = normalised(settings, levels)
    labels = torch.arange(batch) % CLASSES
    augment = seconds(lambda: augmented(settings, levels), repetitions) / batch
    prefix = evaluate_prefix = 0.0
    inputs, trained = images, network
    if split is not None:
        with torch.no_grad():
            inputs = split.prefix(images).clone()
        prefix = seconds(lambda: forward(split.prefix, images, settings), repetitions) / batch
        trained = replace(network, active=split.head)
    take_step = TrainingStep(settings, trained, train.optimizer.build(list(trained.trainable())))
    trained.train()
    step = seconds(lambda: take_step(1, 1, inputs, labels), repetitions) / batch
    trained.eval()
    some = inputs[: evaluation_batch_size(tuple(inputs.shape[1:]), CPU)]
    evaluated = evaluated_each_epoch(settings, IMAGES, ())
    evaluated /= settings.data.split_sizes(IMAGES, ())["train"]
    evaluate = seconds(lambda: forward(trained.active, some, settings), repetitions) / len(some)
    evaluate_prefix = prefix * evaluated
    found = (augment, prefix, step, evaluate * evaluated, evaluate_prefix)
    return Parts(*(1000 * each for each in found))


def side_of(settings: Settings) -> int:
    """Return the side of a run's images."""
    side = side_or_none(settings)
    assert side is not None, "images of a size that only the data tells"
    return side


def normalised(settings: Settings, levels: Tensor) -> Tensor:
    """Return a batch of pixels as a network takes it."""
    scale = Normalisation(*settings.data.normalization(), levels.shape[1], CPU)
    return in_format(scale.images(levels), memory_format(CPU, settings.train.precision))


def augmented(settings: Settings, levels: Tensor) -> Tensor:
    """Return a batch of pixels, augmented, as a network takes it."""
    augment = settings.train.augment
    if augment is not None:
        augmenter = Augmenter(augment, settings.seed, settings.data.normalization()[0])
        levels = augmenter(levels, 1, 1).contiguous(memory_format=torch.channels_last)
    return normalised(settings, levels)


def forward(module: torch.nn.Module, inputs: Tensor, settings: Settings) -> Tensor:
    """Return what a part of a network gives, without gradients."""
    with torch.no_grad(), autocast(CPU, settings.train.precision):
        outputs: Tensor = module(inputs)
    return outputs


def check_head(settings: Settings) -> int:
    """Return how many gradients of a head on features are those of the whole network, all of them.

    Raises:
        BenchFailed: when a byte of the loss or of a gradient differs.
    """
    images = normalised(settings, torch.randint(0, 256, (8, 3, *[side_of(settings)] * 2)).byte())
    labels = torch.arange(8)
    sides = []
    for on_features in (False, True):
        network = build_network(settings, (3, *images.shape[2:]), CLASSES, CPU)
        split = network.split()
        assert split is not None
        network.train()
        inputs = images
        if on_features:
            inputs = forward(split.prefix, images, settings)
        trained = split.head if on_features else network.active
        sides.append(gradients(settings, network, trained, inputs, labels))
    for one, other in zip(*sides, strict=True):
        if not torch.equal(one, other):
            raise BenchFailed("the head on the prefix of a batch trains otherwise than the network")
    return len(sides[0]) - 1


def gradients(
    settings: Settings, network: Network, trained: torch.nn.Module, inputs: Tensor, labels: Tensor
) -> list[Tensor]:
    """Return the loss of a batch, and the gradients of all weights that are trained."""
    torch.manual_seed(0)
    logits = trained(inputs)
    loss = settings.train.loss.build()(logits.float(), labels)
    loss.backward()
    return [loss.detach(), *(each.grad for each in network.trainable() if each.grad is not None)]


def frozen(settings: Settings) -> Settings:
    """Return settings with the convolutional part frozen."""
    values = json.loads(settings.model_dump_json(exclude_none=True))
    values["model"]["freeze"] = "features"
    return Settings.model_validate_json(json.dumps(values))


def rates(repetitions: int) -> None:
    """Measure AlexNet, its convolutional part frozen, under each pipeline of R1.4."""
    experiment = load_experiment(ROOT / "experiments" / "alexnet_augmentation.yaml")
    cells = {cell.cell.labels["label"]: frozen(cell.settings) for cell in experiment.cells}
    print(f"{check_head(next(iter(cells.values())))} gradients and the loss: equal in bytes")
    for label, settings in cells.items():
        parts = measure(settings, repetitions)
        before = parts.alone + parts.evaluate_prefix
        cells_of = {
            **shown(parts),
            "before features of what is evaluated": f"{before:.2f}",
            "now": f"{parts.alone:.2f}",
        }
        for count in COUNTS:
            together = parts.augment + parts.prefix + count * parts.own
            cells_of[f"{count} in step"] = f"{count * parts.alone / together:.2f} ×"
        where = machine()
        record(REPORT, "rates", f"AlexNet frozen, {label}", cells_of, where)


def shown(parts: Parts) -> dict[str, str]:
    """Return the parts as cells of a table."""
    names = {"augment": parts.augment, "prefix": parts.prefix, "step": parts.step}
    return {
        **{name: f"{value:.2f}" for name, value in names.items()},
        "evaluate": f"{parts.evaluate:.2f}",
    }


def catalogue(repetitions: int) -> None:
    """Measure the trainings of each spec in experiments/ that share an augmented stream."""
    for path in sorted((ROOT / "experiments").glob("*.yaml")):
        for group in streams(path):
            parts = [measure(settings, repetitions) for settings in group]
            now = sum(each.alone for each in parts)
            together = max(each.augment for each in parts)
            together += sum(each.own for each in parts)
            prefixes: dict[str, float] = {}
            for settings, each in zip(group, parts, strict=True):
                prefixes[prefix_of(settings)] = each.prefix
            together += sum(prefixes.values())
            cells = {
                "trainings": len(group),
                "augment": f"{parts[0].augment:.2f}",
                "now": f"{now:.2f}",
                "in step": f"{together:.2f}",
                "gain": f"{now / together:.2f} ×",
            }
            augment = group[0].train.augment
            steps = [] if augment is None else [each.name for each in augment.steps]
            record(REPORT, "catalogue", f"{path.stem}, {' '.join(steps)}", cells, machine())


def streams(path: Path) -> list[list[Settings]]:
    """Return the different trainings of a spec that share an augmented stream, by stream."""
    found: dict[str, dict[str, Settings]] = {}
    for cell in load_experiment(path).cells:
        settings = cell.settings
        values = json.loads(settings.model_dump_json())
        train = values["train"]
        if settings.train.augment is None or side_or_none(settings) is None:
            continue
        if prefix_of(settings) and settings.train.augment.num_views() is not None:
            continue  # it trains on features
        alike = [values["data"], train["augment"], train["batch_size"], train["drop_last"]]
        own = {name: each for name, each in train.items() if name != "early_stopping"}
        stream = canonical_json([*alike, settings.seed])
        found.setdefault(stream, {})[canonical_json([values["model"], own])] = settings
    return [list(each.values()) for each in found.values() if len(each) > 1]


def side_or_none(settings: Settings) -> int | None:
    """Return the side of a run's images where that is known without them."""
    crop = settings.data.crop
    return crop if isinstance(crop, int) else SIDES.get(settings.data.dataset)


def prefix_of(settings: Settings) -> str:
    """Return what makes the frozen prefix of a run, "" without one."""
    model = json.loads(settings.model.model_dump_json())
    if model["freeze"] == "none":
        return ""
    return canonical_json({name: each for name, each in model.items() if name != "head"})


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=("rates", "catalogue"))
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        (rates if options.part == "rates" else catalogue)(options.repetitions)
    except BenchFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

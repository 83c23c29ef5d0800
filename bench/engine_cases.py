"""The trainings that bench/engine.py measures, as specs written into a folder.

Networks, batches and optimizers are those of experiments/, read from there. Images are real ones
where a folder has them, else generated ones of the same number and shape; so many are taken that an
epoch ends soon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import ROOT

from runner.components.settings import Settings
from runner.spec.experiment import load_experiment

CALTECH = Path("caltech101") / "101_ObjectCategories"
CIFAR = Path("cifar-10-batches-py")
PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        title: for the report.
        settings: returns its settings, from the specs in experiments/.
        real: settings of real images, by what is changed in ``data``; None: always generated.
        needs: what a folder of data must hold for them; None where nothing is needed.
        made: generated images of the same number and shape.
        epochs: of a whole run.
        heavy: needs a GPU to end in reasonable time.
    """

    title: str
    settings: Callable[[], dict[str, Any]]
    real: Mapping[str, Any] | None
    needs: Path | None
    made: Mapping[str, Any]
    epochs: int = 3
    train: Mapping[str, Any] = field(default_factory=dict)
    heavy: bool = False

    def document(self, data: Path | None, precision: str = "fp32") -> dict[str, Any]:
        """Return a spec; with the real images where ``data`` has them."""
        settings = self.settings()
        real = None if self.is_made(data) else self.real
        settings["data"] = {**self.made} if real is None else {**real}
        settings["train"] |= {"epochs": self.epochs, "precision": precision, **self.train}
        settings["evaluate"]["test"] = "never"
        return {"name": "case", **settings}

    def is_made(self, data: Path | None) -> bool:
        """Return whether the images are generated."""
        if self.real is None:
            return True
        return self.needs is not None and (data is None or not (data / self.needs).is_dir())


def of_experiment(name: str, cell: int) -> Callable[[], dict[str, Any]]:
    """Return a function that gives the settings of a cell of a spec in experiments/."""

    def settings() -> dict[str, Any]:
        experiment = load_experiment(ROOT / "experiments" / f"{name}.yaml")
        return _plain(experiment.cells[cell].settings)

    return settings


def _plain(settings: Settings) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(settings.model_dump_json(exclude_none=True))
    del values["seed"]
    return values


def _small() -> dict[str, Any]:
    model = {"name": "convnet", "filters": [32, 64, 128], "batch_norm": True}
    train = {"batch_size": 64, "optimizer": {"name": "adam", "lr": 0.001}}
    return {"model": model, "train": train, "evaluate": {}}


def _alexnet() -> dict[str, Any]:
    settings = of_experiment("alexnet_lr_grid", 0)()
    settings["model"]["classes"] = 101
    return settings


def _resnet() -> dict[str, Any]:
    train = {"batch_size": 128, "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}}
    return {"model": {"name": "resnet18"}, "train": train, "evaluate": {}}


def _made(classes: int, images: int, side: int, **others: Any) -> dict[str, Any]:
    shape = {"classes": classes, "images": images, "height": side, "width": side}
    return {"dataset": "synthetic", **shape, "test": 0, **others}


def _folder(**others: Any) -> dict[str, Any]:
    return {"dataset": "imagefolder", "path": str(CALTECH), "test": 0, **others}


DIGITS = {"dataset": "digits", "validation": 0.25, "test": 0.2}
ELEVEN = ["butterfly", "chandelier", "crab", "dolphin", "elephant", "helicopter", "kangaroo"]
ELEVEN += ["laptop", "lotus", "minaret", "starfish"]
LARGE = {"resize": 256, "crop": 224, "include": ELEVEN, "per_class": 12}
HALF = {"validation": 0.5, "train_images": 64, "normalize": "half"}

CASES: dict[str, Case] = {
    "mlp": Case(
        "MLP of the quickstart, batch 64",
        of_experiment("quickstart", 0),
        DIGITS,
        None,
        {},
        epochs=20,
    ),
    "mlp-dropout": Case(
        "the same with dropout 0.3",
        of_experiment("quickstart", 2),
        DIGITS,
        None,
        {},
        epochs=20,
    ),
    "r41": Case(
        "R4.1, 50 px, batch 32",
        of_experiment("eleven_classes", 0),
        _folder(include=ELEVEN, per_class=41, resize=[50, 50], validation=0.2),
        CALTECH,
        _made(11, 451, 50, validation=0.2),
        epochs=10,
    ),
    "cnn": Case(
        "CNN 32/64/128 with batch norm, 32 px, batch 64",
        _small,
        {"dataset": "cifar10", "validation": 0.02, "train_images": 640},
        CIFAR,
        _made(10, 1640, 32, validation=1000 / 1640),
    ),
    "r21": Case(
        "R2.1, 32 px, batch 200",
        of_experiment("convnet_cifar10", 1),
        {"dataset": "cifar10", "validation": 0.004, "train_images": 200},
        CIFAR,
        _made(10, 400, 32, validation=0.5),
    ),
    "alexnet": Case(
        "AlexNet, 224 px, batch 64",
        _alexnet,
        _folder(**LARGE, **HALF),
        CALTECH,
        _made(11, 132, 224, **HALF),
        train={"batch_size": 64},
    ),
    "r21-long": Case(
        "R2.1, 32 px, batch 200, 100 steps an epoch",
        of_experiment("convnet_cifar10", 1),
        None,
        None,
        _made(10, 21_000, 32, validation=1 / 21),
        heavy=True,
    ),
    "alexnet-long": Case(
        "AlexNet, 224 px, batch 256, 10 steps an epoch",
        _alexnet,
        None,
        None,
        _made(101, 3072, 224, validation=1 / 6),
        heavy=True,
    ),
    "resnet18": Case(
        "ResNet-18, 224 px, batch 128, 20 steps an epoch",
        _resnet,
        None,
        None,
        _made(101, 3072, 224, validation=1 / 6),
        heavy=True,
    ),
}


def write_case(name: str, folder: Path, data: Path | None, precision: str = "fp32") -> Path:
    """Write the spec of a case; JSON is YAML."""
    spec = folder / f"{name}-{precision}.yaml"
    document = CASES[name].document(data, precision)
    spec.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return spec

"""The first five losses of every component, against ``golden_losses.json``.

When one moves, either the change was not meant, or the component's ``semantics`` must be raised.
A new component gets a case by itself, with its defaults and the examples of what it requires;
``UPDATE_GOLDEN=1 pytest tests/engine/test_golden_losses.py`` adds the numbers that are missing and
changes none (``UPDATE_GOLDEN=all`` writes all anew).
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from benches import SYNTHETIC, Bench, settings_of
from example_settings import example_settings, tag_of
from layouts import write_files

from runner.artifacts.hashes import HashCache
from runner.components.augmentations.pipeline import Step
from runner.components.component import Component
from runner.components.data import Data
from runner.components.data.dataset import DataAccess
from runner.components.losses import Loss
from runner.components.models import Model
from runner.components.models.timm_model import TimmModel
from runner.components.models.timm_names import timm_version
from runner.components.optimizers import Optimizer
from runner.components.schedules import Schedule
from runner.components.settings import Settings

GOLDEN = Path(__file__).parent / "golden_losses.json"
FILE = "tests/engine/test_golden_losses.py"
HERE = f"CASES in {FILE}"
ALL = ["relu", "leaky_relu", "gelu", "silu", "tanh"]
INITS = ["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal"]
FOLDER = {"dataset": "imagefolder", "path": "photos", "validation": 0.2, "test": 0.2}
DIGITS = {"dataset": "digits", "validation": 0.2, "test": 0.2}
ORDER = ["conv", "norm", "pool", "activation"]

MOVING = [
    {"name": "RandomHorizontalFlip"},
    {"name": "RandomVerticalFlip", "p": 0.3},
    {"name": "RandomResizedCrop", "size": [9, 11]},
    {"name": "RandomPerspective"},
    {"name": "RandomAffine", "degrees": 20, "translate": [0.1, 0.2], "shear": 9},
    {"name": "RandomRotation", "degrees": 30, "interpolation": "bilinear"},
    {"name": "Resize", "size": 8},
    {"name": "RandomCrop", "size": 8, "padding": 2, "padding_mode": "reflect"},
]
COLOURING = [
    {"name": "RandomEqualize"},
    {"name": "ColorJitter", "brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.2},
    {"name": "RandomGrayscale"},
    {"name": "RandomAdjustSharpness", "sharpness_factor": 2},
    {"name": "RandomErasing", "value": "mean"},
    {"name": "one_of", "choices": [[], [{"name": "GaussianBlur", "kernel_size": 3}]]},
    {"name": "GaussianBlur", "kernel_size": [1, 3]},
]

CASES: dict[str, dict[str, Any]] = {
    "sgd": {"train": {"optimizer": {"name": "sgd", "lr": 0.1, "weight_decay": 0.01}}},
    "sgd nesterov": {
        "train": {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}}
    },
    "adam": {"train": {"optimizer": {"name": "adam", "lr": 0.01, "weight_decay": 0.1}}},
    "adamw": {"train": {"optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}}},
    "constant": {"train": {"schedule": {"name": "constant"}}},
    "step": {"train": {"schedule": {"name": "step", "step_size": 2, "gamma": 0.3}}},
    "multistep": {"train": {"schedule": {"name": "multistep", "milestones": [1, 3]}}},
    "warmup": {"train": {"schedule": {"name": "cosine", "warmup": 3}}},
    "cosine": {"train": {"schedule": {"name": "cosine", "min_lr": 0.01}}},
    "plateau": {
        "train": {"schedule": {"name": "plateau", "patience": 0, "threshold": 9.0, "factor": 0.5}}
    },
    "cross_entropy": {"train": {"loss": {"name": "cross_entropy", "label_smoothing": 0.2}}},
    "cross_entropy, weighted": {
        "train": {"loss": {"name": "cross_entropy", "class_weights": [1.0, 3.0, 0.5]}}
    },
    "balanced": {"train": {"sampling": "balanced", "batch_size": 12}},
    "clip_grad_norm": {"train": {"clip_grad_norm": 0.2}},
    "mlp": {"model": {"name": "mlp", "hidden": [10, 6], "batch_norm": True, "dropout": 0.2}},
    "convnet": {"model": {"name": "convnet", "filters": [4, 6], "batch_norm": True, "linear": [8]}},
    "convnet, pooled before": {
        "model": {"name": "convnet", "filters": [4], "pool": "average", "order": ORDER}
    },
    "convnet, dropout": {"model": {"name": "convnet", "filters": [4], "dropout": 0.3}},
    "convnet, dropout elsewhere": {
        "model": {
            "name": "convnet",
            "filters": [4, 6],
            "kernel": [5, 3],
            "stride": [1, 2],
            "pool_blocks": "last",
            "linear": [8],
            "linear_batch_norm": True,
            "dropout": 0.3,
            "dropout_at": ["between_blocks", "flatten", "output"],
        }
    },
    "convnet, pooled whole": {
        "model": {"name": "convnet", "filters": [4, 6], "global_pool": "average"}
    },
    "torchvision": {
        "model": {"name": "squeezenet1_1", "freeze": ["features.0"]},
        "data": {**SYNTHETIC, "height": 32, "width": 32},
    },
    "torchvision, cut": {
        "model": {"name": "squeezenet1_1", "cut": "features.3", "head": {"hidden": [5]}},
        "data": {**SYNTHETIC, "height": 32, "width": 32},
    },
    "timm": {
        "model": {"name": "timm/test_resnet"},
        "data": {**SYNTHETIC, "height": 32, "width": 32},
    },
    "digits": {"data": DIGITS},
    "imagefolder": {"data": {**FOLDER, "resize": 9, "crop": 8, "normalize": "imagenet"}},
    "synthetic": {"data": {**SYNTHETIC, "color": "gray"}},
    "huggingface": {"data": {"dataset": "huggingface", "name": "owner/set@main"}},
    "caltech101": {"data": {"dataset": "caltech101", "resize": 10, "crop": 8}},
    "cifar10": {"data": {"dataset": "cifar10", "validation": 0.2}},
    "cifar100": {"data": {"dataset": "cifar100", "validation": 0.5}},
    **{name: {"model": {"name": "mlp", "hidden": [10], "activation": name}} for name in ALL},
    **{name: {"model": {"name": "mlp", "hidden": [10], "init": name}} for name in INITS},
    "augmented, moved": {"train": {"augment": {"p": 0.8, "steps": MOVING}}},
    "augmented, coloured": {"train": {"augment": {"steps": COLOURING}}},
}
"""One step an epoch and five epochs, so that schedules show."""


def steps_of(settings: Settings) -> tuple[Any, ...]:
    augment = settings.train.augment
    return () if augment is None else augment.steps


UNIONS: dict[str, tuple[Any, Any]] = {
    "optimizer": (Optimizer, lambda settings: (settings.train.optimizer,)),
    "schedule": (Schedule, lambda settings: (settings.train.schedule,)),
    "loss": (Loss, lambda settings: (settings.train.loss,)),
    "model": (Model, lambda settings: (settings.model,)),
    "data": (Data, lambda settings: (settings.data,)),
    "augment": (Step, steps_of),
}


def settings_for(case: str) -> Settings:
    values = CASES[case]
    train = {"epochs": 5, "batch_size": 10_000, **values.get("train", {})}
    return settings_of(**{**values, "train": train})


def components_of(union: Any) -> Iterator[type[Component]]:
    """Yield the classes of ``Annotated[A | B, …]``."""
    if isinstance(union, type):
        yield union
        return
    inner = get_args(union)[:1] if get_origin(union) is Annotated else get_args(union)
    for each in inner:
        yield from components_of(each)


def covered_by(get: Any) -> set[type[Component]]:
    """Return the components of a section that cases have."""
    return {type(each) for case in CASES for each in get(settings_for(case))}


def with_defaults() -> dict[str, dict[str, Any]]:
    """Return a case with few settings for each component that has no case of its own."""
    added: dict[str, dict[str, Any]] = {}
    for section, (union, get) in UNIONS.items():
        covered = covered_by(get)
        for component in components_of(union):
            if component not in covered:
                key, tag = tag_of(component)
                settings = {key: tag, **example_settings(component, HERE)}
                chosen: dict[str, Any] = {section: settings}
                if section == "augment":
                    chosen = {section: {"steps": [settings]}}
                added[tag] = chosen if section in ("data", "model") else {"train": chosen}
    return added


CASES |= with_defaults()


def measured(case: str, folder: Path) -> list[float]:
    settings = settings_for(case)
    if isinstance(settings.model, TimmModel) and not timm_version():
        pytest.skip("timm is not installed")
    access = DataAccess((folder,), HashCache(folder / "hashes").hash_files)
    with write_files(settings.data.dataset, folder):
        source = settings.data.build(access)
    bench = Bench(folder / "runner", settings, source)
    return [record.step_losses[0] for record in bench.read(bench.train())]


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize("case", CASES)
def test_the_first_five_losses_are_the_golden_ones(case: str, tmp_path: Path) -> None:
    found = measured(case, tmp_path)
    update = os.environ.get("UPDATE_GOLDEN")
    if update:
        golden = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
        golden[case] = found if update == "all" else golden.get(case, found)
        ordered = {name: golden[name] for name in CASES if name in golden}
        GOLDEN.write_text(json.dumps(ordered, indent=2) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert len(found) == 5
    if case not in golden:
        pytest.fail(f"{case} has no golden losses yet: UPDATE_GOLDEN=1 pytest {FILE} adds them")
    assert found == pytest.approx(golden[case], rel=1e-5)


@pytest.mark.parametrize("section", UNIONS)
def test_every_component_has_golden_losses(section: str) -> None:
    union, get = UNIONS[section]
    covered = covered_by(get)
    assert set(components_of(union)) <= covered


def test_the_golden_file_holds_the_cases_and_nothing_else() -> None:
    golden = list(json.loads(GOLDEN.read_text()))
    assert golden == list(CASES), f"UPDATE_GOLDEN=1 pytest {FILE} adds what is missing"


def test_the_golden_losses_tell_the_cases_apart() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert len({tuple(losses) for losses in golden.values()}) == len(CASES)

"""Which settings scripts are written for; any other value of a setting is refused by its path.

A class that is not listed, and a field of a listed one that is not, stands in no template: it must
have its default, so that a setting that is added later is refused and never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from runner.components.augmentations.cropping import RandomCrop
from runner.components.augmentations.geometry import RandomHorizontalFlip, RandomVerticalFlip
from runner.components.augmentations.pipeline import Pipeline
from runner.components.component import Component
from runner.components.data.cifar import Cifar10
from runner.components.data.digits import Digits
from runner.components.data.folds import Fold
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.normalizing import Normalization
from runner.components.data.split_paths import SplitPaths
from runner.components.losses import CrossEntropy
from runner.components.measures import metric_parts
from runner.components.models.convnet import ConvNet
from runner.components.models.mlp import MLP
from runner.components.models.pretrained import WeightsFile
from runner.components.models.torchvision_model import TorchvisionModel
from runner.components.optimizers import SGD, Adam, AdamW
from runner.components.own.names import is_code_name
from runner.components.schedules import Constant, Cosine, MultiStep, Plateau, Step
from runner.components.settings import (
    Best,
    EarlyStopping,
    Evaluation,
    Settings,
    Training,
    monitors,
)
from runner.core.errors import UsageError

PREPARING = {
    *(
        "validation",
        "split_seed",
        "fold",
        "resize",
        "crop",
        "color",
        "background",
        "normalize",
        "dataset",
    )
}
SCHEDULE = {"name", "warmup"}
WRITTEN: Mapping[type[BaseModel], set[str]] = {
    Settings: {"data", "model", "train", "evaluate", "seed"},
    Digits: {*PREPARING, "test"},
    Cifar10: PREPARING,
    Fold: {"index", "of", "held_out"},
    ImageFolder: {*PREPARING, "test", "path", "include", "per_class"},
    SplitPaths: {"train", "val", "test"},
    Normalization: {"mean", "std"},
    MLP: set(MLP.model_fields),
    ConvNet: set(ConvNet.model_fields),
    TorchvisionModel: {"name", "weights", "classes", "freeze", "init"},
    WeightsFile: {"file", "sha256", "missing"},
    Training: {
        *("epochs", "batch_size", "drop_last", "optimizer", "schedule", "loss", "augment"),
        *("clip_grad_norm", "early_stopping", "best", "precision", "diverged_if"),
    },
    SGD: {"name", "lr", "momentum", "nesterov", "weight_decay"},
    Adam: {"name", "lr", "betas", "eps", "weight_decay"},
    AdamW: {"name", "lr", "betas", "eps", "weight_decay"},
    Constant: SCHEDULE,
    Step: {*SCHEDULE, "step_size", "gamma"},
    MultiStep: {*SCHEDULE, "milestones", "gamma"},
    Cosine: {*SCHEDULE, "min_lr"},
    Plateau: {*SCHEDULE, "monitor", "factor", "patience", "threshold", "min_lr"},
    CrossEntropy: {"name", "label_smoothing"},
    Pipeline: {"steps"},
    RandomHorizontalFlip: {"name", "p"},
    RandomVerticalFlip: {"name", "p"},
    RandomCrop: {"name", "size", "padding", "padding_mode", "fill"},
    EarlyStopping: {"monitor", "mode", "patience", "tolerance"},
    Best: {"monitor", "mode"},
    Evaluation: {"train_eval", "test"},
}
"""The settings that stand in templates, by class. (`diverged_if` changes nothing in a run that is
done, and of `missing` the loaded names are written.)"""

DATA_SETS = "digits, cifar10, imagefolder"
MEASURED = ("loss", "accuracy")
PRECISIONS = ("fp32", "bf16")


def refuse_unwritten(settings: Settings) -> None:
    """Refuse a run of which a script would leave something out.

    Raises:
        UsageError: with the first setting for which no script is written.
    """
    for path, value in _unwritten(settings, ""):
        shown = getattr(value, "name", None) or getattr(value, "dataset", None) or value
        found = f"this run uses {path}: {shown}, for which no script is written"
        raise UsageError(found, allowed=DATA_SETS if path == "data" else "")


def refuse_own_code(settings: object, path: str = "") -> None:
    """Refuse a run of own code, by its recorded settings alone: none of it need be allowed.

    Raises:
        UsageError: with the first setting that names own code.
    """
    if isinstance(settings, list):
        settings = {str(number): each for number, each in enumerate(settings)}
    if not isinstance(settings, Mapping):
        return
    if is_code_name(settings.get("name")):
        found = f"this run uses {path}: {settings['name']}, for which no script is written"
        raise UsageError(found, hint="a script needs nothing but torch, and no file of yours")
    for name, value in settings.items():
        refuse_own_code(value, f"{path}.{name}".lstrip("."))


def _unwritten(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield the settings that no template has, by their dotted path."""
    if isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _unwritten(each, f"{path}.{index}")
    if isinstance(value, Settings):
        yield from _unwritten_values(value)
    if not isinstance(value, Component):
        return
    written = WRITTEN.get(type(value))
    if written is None:
        yield path, value
        return
    for name, field in type(value).model_fields.items():
        own, inner = getattr(value, name), f"{path}.{name}".lstrip(".")
        if name in written:
            yield from _unwritten(own, inner)
        elif field.default is PydanticUndefined or own != field.default:
            yield inner, own


def _unwritten_values(settings: Settings) -> Iterator[tuple[str, object]]:
    for path, monitor in monitors(settings).items():
        if metric_parts(monitor)[1] not in MEASURED:
            yield path, monitor
    if settings.train.precision not in PRECISIONS:
        yield "train.precision", settings.train.precision
    weights = getattr(settings.model, "weights", None)
    if isinstance(weights, WeightsFile) and Path(weights.file).suffix == ".safetensors":
        yield "model.weights.file", f"{weights.file} (of safetensors)"

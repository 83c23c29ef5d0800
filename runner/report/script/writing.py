"""The text of a script: what the template is told of a run.

Whatever comes from a spec or from file names stands in the script as a Python literal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, Template

from runner.components.augmentations.augmentation import as_pair
from runner.components.augmentations.cropping import RandomCrop
from runner.components.augmentations.pipeline import Pipeline
from runner.components.data.listing import IMAGE_SUFFIXES
from runner.components.data.splitting import SPLITS, Split
from runner.components.losses import CrossEntropy
from runner.components.models.classifier import num_outputs
from runner.components.models.torchvision_model import TorchvisionModel
from runner.components.settings import Settings, splits_each_epoch
from runner.core.reader import LAST
from runner.report.script.schedules import rate_lines

if TYPE_CHECKING:
    from runner.engine.inference.network_source import NetworkSource

INITS = {
    "kaiming_uniform": 'kaiming_uniform_(layer.weight, nonlinearity="relu")',
    "kaiming_normal": 'kaiming_normal_(layer.weight, nonlinearity="relu")',
    "xavier_uniform": "xavier_uniform_(layer.weight)",
    "xavier_normal": "xavier_normal_(layer.weight)",
    "orthogonal": "orthogonal_(layer.weight)",
}
INDICES = {"train_eval": "TRAIN", "val": "VAL", "test": "TEST"}


@dataclass(frozen=True)
class ScriptData:
    """The images of a run, for its script.

    Attributes:
        folders: of each split, or of all images under ""; empty without files.
        classes: names of the class folders.
        official: the splits that the data set says itself.
        num_images: of all splits.
        digest: SHA-256 of the prepared pixels, or "".
        shape: channels, height, width.
    """

    folders: Mapping[str, str]
    classes: tuple[str, ...]
    official: frozenset[Split]
    num_images: int
    digest: str
    shape: tuple[int, int, int]


def script_text(
    settings: Settings, data: ScriptData, source: NetworkSource, weights: str, about: str
) -> str:
    """Return the script of a run whose settings are all written.

    Args:
        settings: of the run.
        data: its images.
        source: its network.
        weights: path of the file of pretrained weights, "" without.
        about: the run and its results, for people.
    """
    values = {
        "settings": settings,
        "data": settings.data,
        "model": settings.model,
        "train": settings.train,
        "optimizer": settings.train.optimizer,
        "source": source,
        "weights": weights,
        "url": source.url,
        "about": _plain(about),
        **_of_data(settings, data),
        **_of_network(settings, data),
        **_of_training(settings),
    }
    text = _template().render(values)
    return re.sub(r"\n{4,}", "\n\n\n", text)


@cache
def _template() -> Template:
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["py"] = literal
    text = files("runner.report.script").joinpath("script.py.jinja").read_text(encoding="utf-8")
    return environment.from_string(text)


def literal(value: object) -> str:
    """Return a value as Python, text in double quotes where it can be written as it is."""
    is_text = isinstance(value, str) and not any("\ud800" <= each <= "\udfff" for each in value)
    return json.dumps(value, ensure_ascii=False) if is_text else repr(value)


def _plain(text: str) -> str:
    """Return text that cannot end a docstring."""
    return re.sub(r"[^\w\s.,:;@=+/()-]", "_", text)


def _of_data(settings: Settings, data: ScriptData) -> dict[str, Any]:
    own = settings.data
    test = own.test_share() or 0.0
    takes = {} if "test" in data.official or not test else {"test": test}
    if "val" not in data.official and own.validation:
        takes["val"] = own.validation
    if own.fold is not None:
        takes.pop("test" if own.fold.held_out == "test" else "val", None)
    resize, crop = own.resize, own.crop
    stored = {"digits": "gray", "cifar10": "rgb"}.get(own.dataset)
    mean, std = own.normalization()
    per_class = getattr(own, "per_class", None)
    return {
        "dataset": own.dataset,
        "folders": dict(data.folders),
        "folder": data.folders.get("", ""),
        "classes": list(data.classes),
        "official": own.dataset if own.dataset == "cifar10" else sorted(data.official),
        "takes": takes,
        "fold": own.fold,
        "prepares": stored is None or bool(resize or crop) or own.color != stored,
        "resize_one": resize if isinstance(resize, int) else None,
        "resize_both": resize if isinstance(resize, tuple) else None,
        "crop": None if crop is None else as_pair(crop),
        "suffixes": IMAGE_SUFFIXES,
        "per_class": "" if per_class is None else f"[:{per_class}]",
        "num_images": data.num_images,
        "digest": data.digest,
        "mean": list(mean),
        "std": list(std),
    }


def _of_network(settings: Settings, data: ScriptData) -> dict[str, Any]:
    model = settings.model
    of_torchvision = isinstance(model, TorchvisionModel)
    sized = of_torchvision and str(model.name).startswith("vit_")
    return {
        "network": "torchvision" if of_torchvision else "layers",
        "outputs": num_outputs(model, len(data.classes)),
        "image_size": f", image_size={data.shape[1]}" if sized else "",
        "init": INITS.get(model.init, ""),
    }


def _of_training(settings: Settings) -> dict[str, Any]:
    train, evaluate = settings.train, settings.evaluate
    stop = train.early_stopping
    smoothing = train.loss.label_smoothing if isinstance(train.loss, CrossEntropy) else 0.0
    each_epoch = {name: INDICES[name] for name in splits_each_epoch(settings)}
    return {
        "bf16": train.precision == "bf16",
        "best_counts": train.best.monitor != LAST,
        "worst": _worst(train.best.mode),
        "stop": stop,
        "stop_worst": "" if stop is None else _worst(stop.mode),
        "stop_better": "" if stop is None else _better(stop.mode, stop.tolerance),
        "each_epoch": each_epoch,
        "evaluates": bool(each_epoch) or evaluate.test != "never",
        "smoothing": f", label_smoothing={smoothing!r}" if smoothing else "",
        "schedule": rate_lines(train.schedule),
        "steps": _steps(train.augment),
        "optimizer_call": _optimizer(settings),
    }


def _worst(mode: str) -> str:
    return 'float("inf")' if mode == "min" else '-float("inf")'


def _better(mode: str, tolerance: float) -> str:
    by = f" {'-' if mode == 'min' else '+'} {tolerance!r}" if tolerance else ""
    return f"{'<' if mode == 'min' else '>'} stop_value{by}"


def _steps(pipeline: Pipeline | None) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for step in () if pipeline is None else pipeline.steps:
        if isinstance(step, RandomCrop):
            left, top, right, bottom = step.borders()
            mode = f"mode={literal(step.padding_mode)}"
            if step.padding_mode == "constant":
                mode += f", constant_values={step.fill}"
            borders = ((0, 0), (top, bottom), (left, right), (0, 0))
            has_borders = any(step.borders())
            steps.append(
                {
                    "name": "RandomCrop",
                    "picked": "  # each image is cropped",
                    "borders": borders if has_borders else None,
                    "mode": mode,
                    "size": as_pair(step.size),
                }
            )
        else:
            axis = 2 if step.name == "RandomHorizontalFlip" else 1
            steps.append({"name": step.name, "picked": f" < {step.chance()!r}", "axis": axis})
    return steps


def _optimizer(settings: Settings) -> str:
    optimizer = settings.train.optimizer
    values = optimizer.model_dump(exclude={"name", "lr"})
    kind = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[optimizer.name]
    others = "".join(f", {name}={value!r}" for name, value in values.items())
    return f"{kind}(\n    weights, lr=LEARNING_RATE{others}, fused=True\n)"


def official_splits(splits: tuple[Split, ...]) -> frozenset[Split]:
    """Return the splits that a data set says itself, none where fractions split the whole."""
    return frozenset(split for split in SPLITS if split in splits)

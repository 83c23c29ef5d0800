"""docs/reference.md: every setting with its type, limits, default and description.

Read from the pydantic classes; a setting without a description is an error.
"""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel

from runner.components.analyses import Analysis
from runner.components.analyses.analysis import AnalysisSettings
from runner.components.analyses.robustness import Transform
from runner.components.augmentations.pipeline import Pipeline, Step
from runner.components.corruptions.corruption import Corruption
from runner.components.data import Data
from runner.components.data.dataset import DatasetSettings
from runner.components.data.folds import Fold
from runner.components.data.normalizing import Normalization
from runner.components.data.split_paths import SplitPaths
from runner.components.data.table import TableColumns
from runner.components.losses import Loss
from runner.components.measures import MEASURES, Measure, WholeMeasure
from runner.components.models import Model
from runner.components.models.classifier import Classifier
from runner.components.models.pretrained import WeightsFile
from runner.components.models.timm_model import Revision
from runner.components.models.torchvision_model import Head
from runner.components.optimizers import Optimizer
from runner.components.schedules import Schedule, ScheduleSettings
from runner.components.settings import Best, EarlyStopping, Evaluation, Settings, Training
from runner.core.reader import SPLITS
from runner.spec.figures.kinds import FigureKind, FigureSettings
from runner.spec.names import SHORT_NAMES
from runner.spec.nodes import KIND_KEYS, as_yaml
from runner.spec.options import component_name, model_options, tags_of
from runner.spec.tables.column import PROPERTIES, ColumnSettings
from runner.spec.value_words import value_in_words

HEAD = """\
# Reference

Written by `tools/docs.py` from the code. A setting is named by its dotted path, as
`train.optimizer.lr`, or by its [short name](#short-names), as `lr`. A component may be written as
its name alone: `optimizer: adam` is `optimizer: {name: adam}`. A number without another limit is at
most 1e36.
"""
SECTIONS: list[tuple[str, str, Any, type[BaseModel] | None]] = [
    ("Data sets", "data", Data, DatasetSettings),
    ("Models", "model", Model, Classifier),
    ("Optimizers", "train.optimizer", Optimizer, None),
    ("Schedules", "train.schedule", Schedule, ScheduleSettings),
    ("Losses", "train.loss", Loss, None),
    ("Augmentations", "train.augment.steps", Step, None),
    ("Analyses", "analyses", Analysis, AnalysisSettings),
    ("Figures", "figures", FigureKind, FigureSettings),
]
PLAIN: list[tuple[str, type[BaseModel]]] = [
    ("train", Training),
    ("train.augment", Pipeline),
    ("train.early_stopping", EarlyStopping),
    ("train.best", Best),
    ("evaluate", Evaluation),
    ("data.path", SplitPaths),
    ("data.columns", TableColumns),
    ("data.fold", Fold),
    ("data.normalize", Normalization),
    ("model.weights", WeightsFile),
    ("model.pretrained", Revision),
    ("model.head", Head),
    ("analyses: robustness: transforms", Transform),
    ("analyses: robustness: corruption", Corruption),
]
SPLIT_WORDS = {
    "train": "running average of the training pass: weights move on the way, dropout is active",
    "train_eval": "all training images after the epoch (`evaluate.train_eval: full`)",
    "val": "validation images after each epoch (`data.validation` above 0)",
    "test": "test images of the epochs that `evaluate.test` says",
}


def reference_document() -> str:
    """Return the document."""
    parts = [HEAD, _all_settings()]
    for title, path, union, shared in SECTIONS:
        parts.append(f"## {title}: `{path}`\n")
        if shared is not None:
            parts.append(f"All of them have these settings. {_about(shared)}\n")
            parts.append(_settings_table(shared))
        for model in model_options(union):
            parts.append(f"### {_heading(model)}\n\n{_about(model)}\n")
            parts.append(_names(model))
            parts.append(_settings_table(model, shared))
            parts.append(_values(model))
    for path, model in PLAIN:
        parts.append(f"## `{path}`\n\n{_about(model)}\n")
        parts.append(_settings_table(model))
    parts += [_short_names(), _tables()]
    return "\n".join(part for part in parts if part)


def _all_settings() -> str:
    rows = [[f"`{name}`", str(info.description)] for name, info in Settings.model_fields.items()]
    return _rows(["section", "what it holds"], rows)


def _about(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").replace("``", "`")


def _heading(model: type[BaseModel]) -> str:
    names = tags_of(model)
    return f"`{component_name(model)}`" if len(names) == 1 else f"`{names[0]}` … `{names[-1]}`"


def _names(model: type[BaseModel]) -> str:
    """Return the names of a component that has several."""
    names = tags_of(model)
    return "" if len(names) == 1 else ", ".join(f"`{name}`" for name in names) + ".\n"


def _settings_table(model: type[BaseModel], shared: type[BaseModel] | None = None) -> str:
    """Return the settings of a class, without its name and those that ``shared`` has alike."""
    schema = model.model_json_schema()
    known = shared.model_json_schema()["properties"] if shared is not None else {}
    kind = next((key for key in KIND_KEYS if key in model.model_fields), None)
    rows = []
    for name, info in model.model_fields.items():
        own = schema["properties"][name]
        if own == known.get(name) or name == kind:
            continue
        assert info.description, f"{model.__name__}.{name} has no description"
        default = "required" if info.is_required() else f"`{_shown(info.get_default())}`"
        allowed = value_in_words(own, schema.get("$defs", {}))
        rows.append([f"`{name}`", allowed, default, info.description])
    if not rows:
        return "It has no settings of its own.\n" if shared else "It has no settings.\n"
    return _rows(["setting", "type", "default", "description"], rows)


def _values(model: type[BaseModel]) -> str:
    """Return what an analysis records, and where its values stand; nothing of another component."""
    if not issubclass(model, AnalysisSettings) or not model.VALUES:
        return ""
    values = [[f"`{name}`", about] for name, about in model.VALUES.items()]
    dimensions = [[f"`{name}`", about] for name, about in model.DIMENSIONS.items()]
    tables = [_rows(["value", "what it is"], values)]
    tables += [_rows(["dimension", "place"], dimensions)] if dimensions else []
    return "\n".join(tables)


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        named = fields.get("name")
        return str(named) if named else as_yaml(fields)
    return as_yaml(value)


def _rows(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped) + "\n"


def _short_names() -> str:
    rows = [[f"`{name}`", f"`{path}`"] for name, path in SHORT_NAMES.items()]
    head = "## Short names\n\nThis list is closed; anything else is a dotted path.\n\n"
    return head + _rows(["short name", "setting"], rows)


def _needed(measure: Measure) -> str:
    classes = f"at least {measure.least_classes} classes" if measure.least_classes > 1 else ""
    kept = "kept weights" if isinstance(measure, WholeMeasure) else ""
    return ", ".join(each for each in (classes, kept) if each)


def _tables() -> str:
    splits = [[f"`{split}_`", SPLIT_WORDS[split]] for split in SPLITS]
    measures = [[f"`{each.name}`", each.about, _needed(each)] for each in MEASURES]
    properties = [[f"`{name}`", words] for name, words in PROPERTIES.items()]
    return "\n".join(
        [
            "## Table columns\n",
            f"{_about(ColumnSettings)} `TITLE: name` is short for a setting, a label, or a metric"
            " at the best epoch.\n",
            _settings_table(ColumnSettings),
            "A formula has names, numbers, `+ - * /` and parentheses; with `at: max` or `min` it is"
            " computed for every epoch, and its extreme is shown. Division by zero shows nothing."
            "\n",
            "## Metrics\n",
            "A metric is called after a split and a measure, as `val_accuracy`.\n",
            _rows(["split", "measured on"], splits),
            _rows(["measure", "meaning", "needs"], measures),
            "Loss and accuracy are measured after each epoch and in each test; another measure"
            " after each epoch of the runs that monitor it. Where only a table asks for it, `run`"
            " computes it from the weights that a run keeps, of finished runs too; those that need"
            " kept weights have no other way, and are no monitors. The same"
            " is true of those that a spec names under `metrics`, classes in a Python file"
            " ([own.md](own.md#your-own-metric)).\n",
            "Of a whole run:\n",
            _rows(["property", "meaning"], properties),
        ]
    )

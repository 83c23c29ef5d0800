"""Axis labels: settings and metrics in words, with units."""

from __future__ import annotations

from runner.components.measures import is_metric, is_own_metric, measure_of, metric_parts
from runner.report.figures.figure_request import FigureRequest
from runner.spec.names import short_name
from runner.spec.tables.column import Column

AXIS_WORDS = {
    "batch_size": "batch size (images)",
    "dropout": "dropout probability",
    "epochs": "training (epochs)",
    "gamma": "factor of the learning rate",
    "label_smoothing": "label smoothing (fraction)",
    "lr": "learning rate",
    "patience": "patience (epochs)",
    "step_size": "epochs between steps of the learning rate",
    "weight_decay": "weight decay",
}
"""What an x axis says of a setting, by its short name; others say their name."""

PROPERTY_WORDS = {
    "best_epoch": "best epoch",
    "last_epoch": "last epoch",
    "parameters": "weights of the network",
    "train_seconds": "training (seconds)",
    "seconds": "all work (seconds)",
}


def x_name(x: Column) -> str:
    """Return the name of the x axis for titles."""
    return short_name(x.source) if x.is_setting else x.source


def x_words(x: Column) -> str:
    """Return the label of the x axis."""
    name = x_name(x)
    return AXIS_WORDS.get(name, name) if x.is_setting else name


def metric_name(column: Column) -> str:
    """Return the one metric that a column shows, or "" for a formula."""
    assert column.formula is not None
    return str(column.formula.tree[1]) if column.formula.tree[0] == "name" else ""


def unit(column: Column, request: FigureRequest) -> str:
    """Return the y-axis label of a metric; metrics with equal labels share a panel."""
    assert column.formula is not None
    name = metric_name(column)
    if name in PROPERTY_WORDS:
        return PROPERTY_WORDS[name]
    if is_own_metric(name):
        split, _ = metric_parts(name)
        return column.formula.shown(name).removeprefix(f"{split}_").replace("_", " ")
    if name:
        return request.axis_label(metric_parts(name)[1])
    units = {measure_of(each).unit if is_metric(each) else "" for each in column.formula.names}
    unit = f" ({units.pop()})" if len(units) == 1 and all(units) else ""
    is_sum = not set("*/") & set(column.formula.text)
    return f"{column.formula.text}{unit if is_sum else ''}"

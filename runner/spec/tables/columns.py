"""Columns of tables: settings, labels, and metrics or formulas over metrics.

Owns the parsing of a column. Knows neither tables nor cells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from runner.components.component import Component
from runner.components.measures import METRIC_NAMES
from runner.core.errors import Problem, SourcePosition, SpecError, nearest
from runner.core.records import DimensionValue
from runner.spec.analyses import Analyses
from runner.spec.names import SHORT_NAMES, setting_path
from runner.spec.nodes import Node, plain
from runner.spec.problems import translate
from runner.spec.tables.formula import Formula, FormulaError, parse_formula
from runner.spec.unknown import UnknownName, likely_settings

PROPERTIES = {
    "best_epoch": "the epoch that `train.best` chose, from 1",
    "last_epoch": "the last epoch that the run read, from 1",
    "parameters": "weights of the network",
    "train_seconds": "measured wall seconds of the epochs, their evaluation included",
    "seconds": "`train_seconds` and those of preparing and testing",
}
"""Numbers of a whole run that a column may name like a metric."""


class ColumnSettings(Component):
    """One column, as a mapping; exactly one of setting, label and metric."""

    setting: str | None = Field(None, description="a short name or dotted path")
    label: str | None = Field(None, description="the name of a label")
    metric: str | None = Field(None, description="a metric, or a formula over metrics")
    analysis: str | None = Field(
        None, description="the name of an analysis, whose value `metric` then is"
    )
    where: dict[str, str | int | float] | None = Field(
        None, description="which of an analysis' values: a place for each dimension but `draw`"
    )
    at: Literal["best", "last", "min", "max"] | Annotated[int, Field(ge=1)] = Field(
        "best", description="the run's best epoch, its last, the extreme over epochs, or an epoch"
    )
    mark: Literal["min", "max"] | None = Field(
        None, description="mark the best value of the column"
    )
    digits: int | None = Field(None, ge=0, le=17, description="decimals shown")


@dataclass(frozen=True, slots=True)
class AnalysisSource:
    """Which values of an analysis a column shows.

    Attributes:
        name: of the analysis in the spec.
        key: of its settings.
        where: the place of the values, by dimension.
        repeated: dimensions over which their mean is shown.
        positions: where the spec says each of ``where``.
    """

    name: str
    key: str
    where: tuple[tuple[str, DimensionValue], ...]
    repeated: tuple[str, ...]
    positions: Mapping[str, SourcePosition | None] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, resolved.

    Attributes:
        title: as printed.
        kind: what it shows.
        source: dotted path of the setting, or name of the label, or text of the formula.
        formula: the parsed formula of a metric.
        at: epoch rule of a metric.
        mark: mark the best value, or None.
        digits: decimals, or None for the default.
        analysis: whose value it shows, or None.
    """

    title: str
    kind: Literal["setting", "label", "metric"]
    source: str
    formula: Formula | None
    at: str | int
    mark: str | None
    digits: int | None
    position: SourcePosition | None
    analysis: AnalysisSource | None = None

    @property
    def is_metric(self) -> bool:
        """Whether it shows what was measured."""
        return self.kind not in ("setting", "label")

    @property
    def is_setting(self) -> bool:
        """Whether it shows a setting."""
        return self.kind not in ("label", "metric")

    @property
    def is_label(self) -> bool:
        """Whether it shows a label."""
        return self.kind not in ("setting", "metric")


def parse_column(
    title: str, node: Node, labels: Sequence[str], analyses: Analyses = MappingProxyType({})
) -> Column:
    """Return a column of a table.

    Raises:
        SpecError: when it shows neither a setting, a label nor a metric.
    """
    if not node.is_mapping:
        return _named_column(title, node, labels)
    try:
        settings = ColumnSettings.model_validate(plain(node))
    except ValidationError as error:
        raise SpecError(translate(error, ColumnSettings, node, f"column {title}")) from None
    chosen = [
        name for name in ("setting", "label", "metric") if getattr(settings, name) is not None
    ]
    if len(chosen) != 1:
        found = f"column {title} names {' and '.join(chosen) or 'nothing to show'}"
        raise SpecError([Problem(node.position, found, "one of setting, label, metric")])
    named = node.value[chosen[0]]
    if settings.analysis is not None or settings.where is not None:
        return _analysis_column(title, node, settings, analyses)
    for key in ("at", "digits", "mark") if settings.metric is None else ():
        if key in node.value:
            found = f"column {title} shows a {chosen[0]}; '{key}' is for metrics"
            raise SpecError([Problem(node.value[key].key_position, found)])
    if settings.setting is not None:
        return _setting_column(title, named, settings)
    if settings.label is not None:
        return _label_column(title, named, settings, labels)
    return _metric_column(title, named, settings)


def _named_column(title: str, node: Node, labels: Sequence[str]) -> Column:
    """Return the column of ``TITLE: name``: a setting, a label, or a metric at the best epoch."""
    name = node.value
    if isinstance(name, str):
        if setting_path(name) is not None:
            return _setting_column(title, node, ColumnSettings(setting=name))
        if name in labels:
            return _label_column(title, node, ColumnSettings(label=name), labels)
        if name in (*METRIC_NAMES, *PROPERTIES):
            return _metric_column(title, node, ColumnSettings(metric=name))
    metrics = (*METRIC_NAMES, *PROPERTIES)
    parts = [
        f"a setting ({', '.join(SHORT_NAMES)}) or its dotted path such as train.epochs",
        f"a label ({', '.join(labels)})" if labels else "",
        f"a metric ({', '.join(metrics)})",
        "a mapping such as {metric: val_accuracy, at: max}",
    ]
    found = f"column {title} shows {node.describe()}, which is no setting, label or metric"
    allowed = "; ".join(part for part in parts if part)
    if isinstance(name, str) and _is_formula(name):
        raise SpecError([Problem(node.position, found, allowed, suggestion=f"{{metric: {name}}}")])
    others = (*labels, *metrics)
    raise UnknownName(
        lambda tree: Problem(
            node.position, found, allowed, suggestion=likely_settings(str(name), others, tree)
        )
    )


def _is_formula(text: str) -> bool:
    try:
        return parse_formula(text).tree[0] not in ("name", "number")
    except FormulaError:
        return False


def _setting_column(title: str, node: Node, settings: ColumnSettings) -> Column:
    path = setting_path(str(node.value))
    if path is None:
        found = f"column {title} shows the unknown setting '{node.value}'"
        name, allowed = str(node.value), "a short name or dotted path"
        raise UnknownName(
            lambda tree: Problem(
                node.position, found, allowed, suggestion=likely_settings(name, (), tree)
            )
        )
    return _build_column(title, "setting", ".".join(path), None, settings, node)


def _label_column(
    title: str, node: Node, settings: ColumnSettings, labels: Sequence[str]
) -> Column:
    if node.value not in labels:
        found = f"column {title} shows the label '{node.value}', which no row has"
        problem = Problem(
            node.position,
            found,
            ", ".join(labels),
            hint="" if labels else "give rows labels, as in labels: {NET: AlexNet}",
            suggestion=nearest(str(node.value), labels),
        )
        raise SpecError([problem])
    return _build_column(title, "label", str(node.value), None, settings, node)


def _metric_column(title: str, node: Node, settings: ColumnSettings) -> Column:
    try:
        formula = parse_formula(str(node.value))
    except FormulaError as error:
        raise SpecError(
            [Problem(node.position, f"column {title}: {error}", error.allowed)]
        ) from None
    known = (*METRIC_NAMES, *PROPERTIES)
    for name in formula.names:
        if name not in known:
            found = f"column {title} shows the unknown metric '{name}'"
            raise SpecError(
                [Problem(node.position, found, ", ".join(known), suggestion=nearest(name, known))]
            )
    if not formula.names:
        raise SpecError(
            [Problem(node.position, f"column {title} names no metric", ", ".join(known))]
        )
    return _build_column(title, "metric", formula.text, formula, settings, node)


def _analysis_column(
    title: str, node: Node, settings: ColumnSettings, analyses: Analyses
) -> Column:
    """Return the column of a value of an analysis."""
    within, key = f"column {title}", node.value
    if settings.metric is None or settings.analysis is None:
        found = f"{within} lacks '{'metric' if settings.metric is None else 'analysis'}'"
        hint = "as in {analysis: shaken, metric: accuracy, where: {transform: blur}}"
        raise SpecError([Problem(node.position, found, hint=hint)])
    if "at" in key:
        found = f"{within} shows an analysis, whose own `weights` say of which epoch"
        raise SpecError([Problem(key["at"].key_position, found, hint="leave 'at' out")])
    declared = analyses.get(settings.analysis)
    if declared is None:
        found = f"{within} shows the unknown analysis '{settings.analysis}'"
        names, where = list(analyses), key["analysis"].position
        hint = "" if names else "this spec has no analyses"
        suggestion = nearest(settings.analysis, names)
        raise SpecError([Problem(where, found, ", ".join(names), hint=hint, suggestion=suggestion)])
    asked = declared.settings
    _check_known(within, key["metric"], settings.metric, list(asked.VALUES))
    dimensions = [name for name in asked.DIMENSIONS if name not in asked.REPEATED]
    place: dict[str, DimensionValue] = {}
    for name, value in (settings.where or {}).items():
        node_there = key["where"].value[name]
        at = Node(name, node_there.key_position or node_there.position)
        _check_known(f"{within}, where", at, name, dimensions)
        place[name] = _name_of(within, name, value, node_there) if name in asked.NAMES else value
    source = AnalysisSource(
        declared.name,
        declared.key,
        tuple(sorted(place.items())),
        tuple(asked.REPEATED),
        {name: key["where"].value[name].position for name in place},
    )
    column = _build_column(title, "metric", settings.metric, None, settings, node)
    return replace(column, analysis=source)


def _name_of(within: str, dimension: str, value: DimensionValue, node: Node) -> str:
    """Return the name of a class or an image: a whole number stands for its digits."""
    written = node.value
    if isinstance(written, bool | float):
        text = json.dumps(written)
        found = f"{within}, where: {dimension} is {text}, but its values are names"
        raise SpecError([Problem(node.position, found, hint=f"in quotes, as '{text}'")])
    return str(value)


def _check_known(within: str, node: Node, name: str, known: Sequence[str]) -> None:
    if name not in known:
        found = f"{within}: '{name}' is nothing that the analysis records"
        raise SpecError(
            [Problem(node.position, found, ", ".join(known), suggestion=nearest(name, known))]
        )


def _build_column(
    title: str,
    kind: Literal["setting", "label", "metric"],
    source: str,
    formula: Formula | None,
    settings: ColumnSettings,
    node: Node,
) -> Column:
    return Column(
        title, kind, source, formula, settings.at, settings.mark, settings.digits, node.position
    )

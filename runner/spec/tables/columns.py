"""Reading the columns of tables: settings, labels, and metrics or formulas over metrics.

Knows neither tables nor cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from runner.components.measures import METRIC_NAMES
from runner.core.errors import Problem, SpecError, nearest
from runner.spec.analyses import Analyses
from runner.spec.names import SHORT_NAMES, setting_path
from runner.spec.nodes import Node, plain
from runner.spec.problems import translate
from runner.spec.tables.analysis_column import analysis_column
from runner.spec.tables.column import PROPERTIES, Column, ColumnSettings, build_column
from runner.spec.tables.formula import FormulaError, parse_formula, with_names
from runner.spec.unknown import UnknownName, likely_settings


@dataclass(frozen=True, slots=True)
class Known:
    """What columns may show, beside settings and the program's own metrics.

    Attributes:
        labels: names of all labels in the spec.
        analyses: of the spec.
        own: full names of the spec's own metrics, and those under which they are stored.
    """

    labels: Sequence[str]
    analyses: Analyses
    own: Mapping[str, str]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all numbers of a run that formulas may have."""
        return (*self.own, *METRIC_NAMES, *PROPERTIES)


def parse_column(title: str, node: Node, known: Known) -> Column:
    """Return a column of a table.

    Raises:
        SpecError: when it shows neither a setting, a label nor a metric.
    """
    if not node.is_mapping:
        return _named_column(title, node, known)
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
        return analysis_column(title, node, settings, known.analyses)
    for key in ("at", "digits", "mark") if settings.metric is None else ():
        if key in node.value:
            found = f"column {title} shows a {chosen[0]}; '{key}' is for metrics"
            raise SpecError([Problem(node.value[key].key_position, found)])
    if settings.setting is not None:
        return _setting_column(title, named, settings)
    if settings.label is not None:
        return _label_column(title, named, settings, known.labels)
    return _metric_column(title, named, settings, known)


def _named_column(title: str, node: Node, known: Known) -> Column:
    """Return the column of ``TITLE: name``: a setting, a label, or a metric at the best epoch."""
    name, labels, metrics = node.value, known.labels, known.metrics
    if isinstance(name, str):
        if setting_path(name) is not None:
            return _setting_column(title, node, ColumnSettings(setting=name))
        if name in labels:
            return _label_column(title, node, ColumnSettings(label=name), labels)
        if name in metrics:
            return _metric_column(title, node, ColumnSettings(metric=name), known)
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
    return build_column(title, "setting", ".".join(path), None, settings, node)


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
    return build_column(title, "label", str(node.value), None, settings, node)


def _metric_column(title: str, node: Node, settings: ColumnSettings, known: Known) -> Column:
    try:
        formula = parse_formula(str(node.value))
    except FormulaError as error:
        raise SpecError(
            [Problem(node.position, f"column {title}: {error}", error.allowed)]
        ) from None
    names = known.metrics
    for name in formula.names:
        if name not in names:
            found = f"column {title} shows the unknown metric '{name}'"
            raise SpecError(
                [Problem(node.position, found, ", ".join(names), suggestion=nearest(name, names))]
            )
    if not formula.names:
        raise SpecError(
            [Problem(node.position, f"column {title} names no metric", ", ".join(names))]
        )
    formula = with_names(formula, known.own)
    return build_column(title, "metric", formula.text, formula, settings, node)

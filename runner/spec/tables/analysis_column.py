"""Columns that show a value of an analysis: which one, and at which place.

Owns what is refused in them; what the data alone can tell is not checked here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from runner.core.errors import Problem, SpecError, nearest
from runner.core.records import DimensionValue
from runner.spec.analyses import Analyses
from runner.spec.nodes import Node
from runner.spec.tables.column import AnalysisSource, Column, ColumnSettings, build_column


def analysis_column(title: str, node: Node, settings: ColumnSettings, analyses: Analyses) -> Column:
    """Return the column of a value of an analysis.

    Raises:
        SpecError: when there is no such analysis, or it records no such value.
    """
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
    column = build_column(title, "metric", settings.metric, None, settings, node)
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

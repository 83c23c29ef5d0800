"""A declared table as one SQL statement.

The statement can be pasted into any SQLite client. Owns no execution and no printing.
"""

from __future__ import annotations

from typing import Any

from runner.core.reading import METRIC_NAMES
from runner.spec.formula import Formula
from runner.spec.tables import Column, Table

PROPERTY_SQL = {
    "best_epoch": "result.best_epoch",
    "last_epoch": "result.last_epoch",
    "parameters": "result.parameters",
    "train_seconds": "result.train_seconds",
    "seconds": "result.seconds",
}
"""Numbers of a whole run, by the names of ``PROPERTIES``, over tables ``runs`` and ``result``."""

STATUSES = ("done", "diverged", "failed", "unfinished")


def compile_table(table: Table, experiment: str, variant: str) -> str:
    """Return the SQL of a table of a stored experiment.

    One row per position, aggregated over seeds. A setting or label has a column of its title; a
    metric has its mean, and with ``_std`` (sample standard deviation) and ``_n`` behind the title.
    ``runs`` counts the seeds and a column per status how they ended; ``published`` is JSON.
    """
    metrics = [column for column in table.columns if column.kind == "metric"]
    values = [
        f"    {_value(column)} AS {_name(f'v{number}')}" for number, column in _numbered(metrics)
    ]
    means = [
        f"    avg(v{number}) OVER (PARTITION BY position) AS {_name(f'mean{number}')}"
        for number, _ in _numbered(metrics)
    ]
    parts = [
        "WITH cell AS (",
        "  SELECT cells.position, cells.seed, cells.labels, cells.published, runs.settings,",
        "    coalesce(result.status, 'unfinished') AS status, runs.run_key, result.rerun,",
        ",\n".join(f"    {value} AS {name}" for name, value in PROPERTY_SQL.items()),
        "  FROM experiments",
        "  JOIN cells ON cells.experiment_id = experiments.id",
        "  JOIN runs ON runs.run_key = cells.run_key",
        "  LEFT JOIN latest_results AS result ON result.run_key = runs.run_key",
        f"  WHERE experiments.name = {_text(experiment)}",
        f"    AND experiments.variant = {_text(variant)}",
        "), value AS (",
        ",\n".join(["  SELECT cell.*", *values]),
        "  FROM cell",
        "), centred AS (",
        ",\n".join(["  SELECT value.*", *means]),
        "  FROM value",
        ")",
        ",\n".join(["SELECT position", *_outputs(table)]),
        "FROM centred GROUP BY position",
        f"ORDER BY {_order(table)}",
    ]
    return "\n".join(parts)


def _numbered(columns: list[Column]) -> list[tuple[int, Column]]:
    return list(enumerate(columns, start=1))


def _outputs(table: Table) -> list[str]:
    outputs: list[str] = []
    number = 0
    for column in table.columns:
        if column.kind == "setting":
            outputs.append(f"  min({_setting(column.source)}) AS {_name(column.title)}")
        elif column.kind == "label":
            path = _text(f'$."{column.source}"')
            outputs.append(f"  min(json_extract(labels, {path})) AS {_name(column.title)}")
        else:
            number += 1
            outputs += _aggregates(column.title, number)
    outputs.append("  count(*) AS runs")
    outputs += [f"  sum(status = '{status}') AS {status}" for status in STATUSES]
    outputs.append("  min(published) AS published")
    return outputs


def _aggregates(title: str, number: int) -> list[str]:
    square = f"(v{number} - mean{number}) * (v{number} - mean{number})"
    deviation = (
        f"CASE WHEN count(v{number}) > 1 THEN sqrt(sum({square}) / (count(v{number}) - 1)) END"
    )
    return [
        f"  avg(v{number}) AS {_name(title)}",
        f"  {deviation} AS {_name(title + '_std')}",
        f"  count(v{number}) AS {_name(title + '_n')}",
    ]


def _setting(path: str) -> str:
    """Return the SQL of a setting: a component's name, true or false, or the value."""
    whole, named = _text(f"$.{path}"), _text(f"$.{path}.name")
    return (
        f"CASE json_type(settings, {whole}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
        f" WHEN 'object' THEN json_extract(settings, {named})"
        f" ELSE json_extract(settings, {whole}) END"
    )


def _value(column: Column) -> str:
    """Return the SQL of a metric of one run; NULL unless the run is done."""
    formula = column.formula
    assert formula is not None
    metrics = [name for name in formula.names if name in METRIC_NAMES]
    if not metrics:
        value = _expression(formula.tree, {})
    elif len(formula.names) == 1 and formula.tree[0] == "name":
        value = _single(metrics[0], column.at)
    else:
        value = _combined(formula, metrics, column.at)
    return f"CASE WHEN status = 'done' THEN {value} END"


def _single(metric: str, at: str | int) -> str:
    split, _, name = metric.rpartition("_")
    condition = _metric_is(split, name)
    if at in ("min", "max"):
        return f"(SELECT {at}(value) FROM run_metrics AS m WHERE {_OF_RUN} AND {condition})"
    condition += f" AND m.epoch = {_epoch(at)}"
    return f"(SELECT value FROM run_metrics AS m WHERE {_OF_RUN} AND {condition})"


_OF_RUN = "m.run_key = cell.run_key AND m.rerun = cell.rerun"


def _metric_is(split: str, name: str) -> str:
    return f"m.split = {_text(split)} AND m.name = {_text(name)}"


def _combined(formula: Formula, metrics: list[str], at: str | int) -> str:
    """Return the SQL of a formula over several metrics, epoch by epoch."""
    picks = []
    for name in metrics:
        split, _, measure = name.rpartition("_")
        picks.append(f"max(CASE WHEN {_metric_is(split, measure)} THEN value END) AS {name}")
    chosen = "" if at in ("min", "max") else f" AND m.epoch = {_epoch(at)}"
    by_epoch = (
        f"SELECT m.epoch, {', '.join(picks)} FROM run_metrics AS m"
        f" WHERE {_OF_RUN}{chosen} GROUP BY m.epoch"
    )
    rule = at if at in ("min", "max") else "max"
    expression = _expression(formula.tree, {name: f"by_epoch.{name}" for name in metrics})
    return f"(SELECT {rule}({expression}) FROM ({by_epoch}) AS by_epoch)"


def _epoch(at: str | int) -> str:
    return str(at) if isinstance(at, int) else f"cell.{at}_epoch"


def _expression(tree: tuple[Any, ...], names: dict[str, str]) -> str:
    kind = tree[0]
    if kind == "name":
        return names.get(tree[1], f"cell.{tree[1]}")
    if kind == "number":
        return repr(tree[1])
    if kind == "negative":
        return f"(-{_expression(tree[1], names)})"
    left, right = _expression(tree[1], names), _expression(tree[2], names)
    if kind == "/":
        return f"(1.0 * {left} / nullif({right}, 0))"
    return f"({left} {kind} {right})"


def _order(table: Table) -> str:
    terms = [
        f"{_name(title)} {'DESC' if descending else 'ASC'}" for title, descending in table.order
    ]
    return ", ".join([*terms, "position"])


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def _name(title: str) -> str:
    quoted = title.replace('"', '""')
    return f'"{quoted}"'

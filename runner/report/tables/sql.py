"""A declared table as one SQL statement.

The statement can be pasted into any client of SQLite, or of PostgreSQL: what these say differently
is the `Dialect`'s. Executes and prints nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from runner.components.measures import is_metric, metric_parts
from runner.spec.nodes import KIND_KEYS
from runner.spec.tables.column import Column
from runner.spec.tables.formula import Formula
from runner.spec.tables.table import Table
from runner.store.dialects import SQLITE, Dialect, quoted

PROPERTY_SQL = {
    "best_epoch": "result.best_epoch",
    "last_epoch": "result.last_epoch",
    "parameters": "result.parameters",
    "train_seconds": "result.train_seconds",
    "seconds": "result.seconds",
}
"""Numbers of a whole run, by the names of ``PROPERTIES``, over tables ``runs`` and ``result``."""

STATUSES = ("done", "diverged", "failed", "unfinished")


def compile_table(
    table: Table,
    experiment: str,
    variant: str,
    runs: Collection[str] | None = None,
    dialect: Dialect = SQLITE,
) -> str:
    """Return the SQL of a table of a stored experiment, over all its runs or those of these keys.

    One row per position, aggregated over seeds and folds. A setting or label has a column of its
    title; a metric has its mean, and with ``_std`` (sample standard deviation) and ``_n`` behind
    the title. ``runs`` counts them and a column per status how they ended; ``published`` is JSON,
    ``run_key`` the least key of its runs (of its settings, where no run is known), and ``folds``
    how many folds there are, 0 without. In this order: position, the columns as declared, runs, the
    statuses, published, run_key, folds. Of a table with a pivot, these are the rows before it.
    """
    metrics = [column for column in table.columns if column.is_metric]
    values = [
        f"    {_value(column, dialect)} AS {_name(f'v{number}')}"
        for number, column in _numbered(metrics)
    ]
    means = [
        f"    avg(v{number}) OVER (PARTITION BY position) AS {_name(f'mean{number}')}"
        for number, _ in _numbered(metrics)
    ]
    parts = [
        "WITH cell AS (",
        "  SELECT cells.position, cells.seed, cells.fold, cells.labels, cells.published,",
        "    coalesce(runs.settings, cells.settings) AS settings,",
        "    coalesce(result.status, 'unfinished') AS status,",
        "    coalesce(runs.run_key, cells.settings_key) AS run_key, result.rerun,",
        ",\n".join(f"    {value} AS {name}" for name, value in PROPERTY_SQL.items()),
        "  FROM experiments",
        "  JOIN cells ON cells.experiment_id = experiments.id",
        "  LEFT JOIN runs ON runs.run_key = cells.run_key",
        "  LEFT JOIN latest_results AS result ON result.run_key = runs.run_key",
        f"  WHERE experiments.name = {quoted(experiment)}",
        f"    AND experiments.variant = {quoted(variant)}",
        *_restriction(runs),
        "), value AS MATERIALIZED (",
        ",\n".join(["  SELECT cell.*", *values]),
        "  FROM cell",
        "), centred AS (",
        ",\n".join(["  SELECT value.*", *means]),
        "  FROM value",
        ")",
        *_spread(metrics, dialect),
    ]
    answer = ",\n".join(["SELECT position", *_outputs(table, dialect)])
    grouped = f"{answer}\nFROM {_last(metrics)} GROUP BY position"
    settings = {column.title for column in table.columns if column.is_setting}
    terms = [(title, descending, title in settings) for title, descending in table.order]
    return "\n".join([*parts, dialect.in_order(grouped, terms)])


def _spread(metrics: list[Column], dialect: Dialect) -> list[str]:
    """Return the part that adds, of each analysis, how its repetitions lie about the mean."""
    if _last(metrics) == "centred":
        return []
    squares = [
        f"    {_of_values(column, f'sum(({gap}) * ({gap}))', 'centred', dialect)}"
        f" AS {_name(f's{number}')},\n"
        f"    {_of_values(column, 'count(*)', 'centred', dialect)} AS {_name(f'c{number}')}"
        for number, column in _numbered(metrics)
        if column.analysis is not None
        for gap in [f"a.value - centred.mean{number}"]
    ]
    return [
        ", spread AS MATERIALIZED (",
        ",\n".join(["  SELECT centred.*", *squares]),
        "  FROM centred",
        ")",
    ]


def _last(metrics: list[Column]) -> str:
    """Return the part whose rows are aggregated over seeds."""
    return "spread" if any(column.analysis is not None for column in metrics) else "centred"


def _of_values(column: Column, wanted: str, run: str, dialect: Dialect) -> str:
    """Return the SQL of an aggregate of a run's values of an analysis; NULL unless it is done."""
    source = column.analysis
    assert source is not None
    conditions = [
        f"a.run_key = {run}.run_key AND a.rerun = {run}.rerun",
        f"a.analysis_key = {quoted(source.key)} AND a.name = {quoted(column.source)}",
        *(dialect.is_at("a.dims", dim, place) for dim, place in source.where),
    ]
    value = f"(SELECT {wanted} FROM run_analyses AS a WHERE {' AND '.join(conditions)})"
    return f"CASE WHEN {run}.status = 'done' THEN {value} END"


def _restriction(runs: Collection[str] | None) -> list[str]:
    if runs is None:
        return []
    return [f"    AND runs.run_key IN ({', '.join(quoted(key) for key in sorted(runs))})"]


def _numbered(columns: list[Column]) -> list[tuple[int, Column]]:
    return list(enumerate(columns, start=1))


def _outputs(table: Table, dialect: Dialect) -> list[str]:
    outputs: list[str] = []
    number = 0
    for column in table.columns:
        if column.is_setting:
            outputs.append(f"  {_setting(column.source, dialect)} AS {dialect.name(column.title)}")
        elif column.is_label:
            label = dialect.entry("labels", column.source)
            outputs.append(f"  min({label}) AS {dialect.name(column.title)}")
        else:
            number += 1
            outputs += _aggregates(column, number, dialect)
    outputs.append("  count(*) AS runs")
    for status in STATUSES:
        is_status = f"status = '{status}'"
        outputs.append(f"  {dialect.count(is_status)} AS {status}")
    published = dialect.json_text("published")
    outputs += [f"  min({published}) AS published", "  min(run_key) AS run_key"]
    outputs += ["  count(DISTINCT nullif(fold, 0)) AS folds"]
    return outputs


def _aggregates(column: Column, number: int, dialect: Dialect) -> list[str]:
    title = column.title
    square = f"(v{number} - mean{number}) * (v{number} - mean{number})"
    deviation = (
        f"CASE WHEN count(v{number}) > 1 THEN sqrt(sum({square}) / (count(v{number}) - 1)) END"
    )
    if column.analysis is not None:
        deviation = (
            f"CASE WHEN sum(c{number}) > 1 THEN sqrt(sum(s{number}) / (sum(c{number}) - 1)) END"
        )
    return [
        f"  avg(v{number}) AS {dialect.name(title)}",
        f"  {deviation} AS {dialect.name(title + '_std')}",
        f"  count(v{number}) AS {dialect.name(title + '_n')}",
    ]


def _setting(path: str, dialect: Dialect) -> str:
    """Return the SQL of a setting: a component's name, true or false, or the value."""
    return dialect.least("settings", path.split("."), KIND_KEYS)


def _value(column: Column, dialect: Dialect) -> str:
    """Return the SQL of a metric of one run; NULL unless the run is done."""
    if column.analysis is not None:
        return _of_values(column, "avg(a.value)", "cell", dialect)
    formula = column.formula
    assert formula is not None
    metrics = [name for name in formula.names if is_metric(name)]
    if metrics and column.at in ("min", "max"):
        value = _extreme(formula, metrics, str(column.at), dialect)
    else:
        epoch = _epoch(column.at)
        names = {name: _at_epoch(name, epoch) for name in metrics}
        value = _expression(formula.tree, names, dialect)
    return f"CASE WHEN status = 'done' THEN {value} END"


def _at_epoch(metric: str, epoch: str) -> str:
    condition = f"{_is_of_run('m', metric)} AND m.epoch = {epoch}"
    return f"(SELECT value FROM run_metrics AS m WHERE {condition})"


def _extreme(formula: Formula, metrics: list[str], at: str, dialect: Dialect) -> str:
    """Return the SQL of the smallest or largest value of a formula over all epochs.

    Sorting instead of ``max()`` lets SQLite look up the run's rows by key, without a full scan.
    """
    first, *others = metrics
    names = {first: "each.value"} | {name: _at_epoch(name, "each.epoch") for name in others}
    direction = "DESC" if at == "max" else "ASC"
    return (
        f"(SELECT {_expression(formula.tree, names, dialect)} AS extreme FROM run_metrics AS each"
        f" WHERE {_is_of_run('each', first)} ORDER BY extreme {direction} NULLS LAST LIMIT 1)"
    )


def _is_of_run(alias: str, metric: str) -> str:
    split, name = metric_parts(metric)
    return (
        f"{alias}.run_key = cell.run_key AND {alias}.rerun = cell.rerun"
        f" AND {alias}.split = {quoted(split)} AND {alias}.name = {quoted(name)}"
    )


def _epoch(at: str | int) -> str:
    return str(at) if isinstance(at, int) else f"cell.{at}_epoch"


def _expression(tree: tuple[Any, ...], names: dict[str, str], dialect: Dialect) -> str:
    kind = tree[0]
    if kind == "name":
        known = names.get(tree[1])
        return dialect.real(f"cell.{tree[1]}") if known is None else known
    if kind == "number":
        return dialect.real(repr(tree[1]))
    if kind == "negative":
        return f"(-{_expression(tree[1], names, dialect)})"
    left, right = (_expression(each, names, dialect) for each in tree[1:3])
    if kind == "/":
        return f"(1.0 * {left} / nullif({right}, 0))"
    return f"({left} {kind} {right})"


def _name(title: str) -> str:
    quoted = title.replace('"', '""')
    return f'"{quoted}"'

"""Queries declared tables.

Runs the query and marks best values.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from runner.components.measures import is_metric, is_own_metric
from runner.core.run import Published
from runner.report.tables.melt import melted
from runner.report.tables.pivot import pivoted
from runner.report.tables.sql import STATUSES, compile_table
from runner.report.tables.table import Row, TableData, TableValue, verdict
from runner.spec.tables.column import Column
from runner.spec.tables.table import Table
from runner.store.checking import (
    Checked,
    check_analyses,
    check_experiments,
    check_results,
    check_runs,
    refuse,
)
from runner.store.checksums import OWN_METRICS, RESULT, at_ends
from runner.store.database import Database
from runner.store.queries import cell_keys

PublishedValues = Mapping[int, Mapping[str, Published]]
"""Published values by position and column title."""


def query_table(
    database: Database,
    table: Table,
    experiment: str,
    variant: str,
    runs: Collection[str] | None = None,
    published: PublishedValues | None = None,
    is_compared: bool = True,
    check: bool = True,
) -> TableData:
    """Return the table as recorded now.

    Args:
        database: where the results are.
        table: what is shown.
        experiment: the stored experiment whose cells are its rows.
        variant: of it.
        runs: keys of the only runs that count, all by default.
        published: values to show in place of the recorded published ones.
        is_compared: whether published values were measured alike; otherwise they stand without a
            difference.
        check: whether what it shows is held against its checksums first; see :func:`table_checks`.

    Raises:
        UsageError: when the recorded cells cannot be pivoted.
        DamagedDatabase: when something that it shows is not what was recorded.
    """
    with database.read() as connection:
        if check:
            keys = cell_keys(connection, experiment, variant) if runs is None else runs
            refuse(database.address, table_checks(connection, table, experiment, keys))
        statement = compile_table(table, experiment, variant, runs, database.dialect)
        # without values psycopg must not look for their marks: titles may hold %
        plain = connection.execution_options(no_parameters=True)
        answers = plain.exec_driver_sql(statement)
        rows = [_row(table, tuple(answer), published) for answer in answers]
    filled = TableData(table, experiment, variant, tuple(rows), is_compared)
    if table.pivot is not None:
        filled = pivoted(filled)
    if table.melt is not None:
        filled = melted(filled)
    return replace(filled, rows=tuple(marked(filled.table.columns, filled.rows)))


def table_checks(
    connection: sa.Connection, table: Table, experiment: str, keys: Collection[str]
) -> Iterator[Checked]:
    """Yield checksums to verify: of the cells, settings, results and metrics in a table."""
    parts = {RESULT}
    for column in table.columns:
        names = [] if column.formula is None else column.formula.names
        for name in names:
            if is_own_metric(name):
                parts.add(OWN_METRICS)
            elif is_metric(name):
                parts.add(at_ends(name) if column.at in ("best", "last") else name)
    yield check_experiments(connection, experiment)
    yield check_runs(connection, keys)
    yield check_results(connection, keys, parts)
    shown = {column.analysis.key for column in table.columns if column.analysis is not None}
    if shown:
        yield from check_analyses(connection, keys, shown)


def _row(
    table: Table,
    answer: tuple[Any, ...],
    others: PublishedValues | None,
) -> Row:
    """Convert a row of the answer, by the order of columns, since titles may be any text."""
    values = iter(answer)
    position = next(values)
    entries: dict[str, TableValue] = {}
    for column in table.columns:
        if column.is_metric:
            entries[column.title] = TableValue(next(values), next(values), next(values))
        else:
            entries[column.title] = TableValue(_setting(next(values)), position=position)
    runs, statuses = next(values), {status: next(values) for status in STATUSES}
    recorded, run_key = json.loads(next(values) or "{}"), next(values)
    folds = next(values)
    published = {title: Published.from_json(value) for title, value in recorded.items()}
    published = published if others is None else dict(others.get(position, {}))
    row = Row(entries, runs, statuses, position, run_key, folds)
    for column in table.columns:
        if column.is_metric:
            entry = replace(
                entries[column.title],
                published=published.get(column.title),
                runs=runs,
                folds=folds,
                missing=row.missing(),
                position=position,
            )
            entries[column.title] = replace(entry, holds=verdict(entry, statuses))
    return row


def _setting(value: Any) -> Any:
    """Return a setting as SQLite gives it: true and false as words, lists as JSON."""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value


def marked(columns: Sequence[Column], rows: Sequence[Row]) -> list[Row]:
    """Return rows in which the best values of columns are marked, and no others."""
    found = [
        replace(row, entries={title: _plain(entry) for title, entry in row.entries.items()})
        for row in rows
    ]
    for column in columns:
        values = [value for row in rows if (value := row.entries[column.title].value) is not None]
        if column.mark is None or not column.is_metric or not values:
            continue
        best = min(values) if column.mark == "min" else max(values)
        for row in found:
            entry = row.entries[column.title]
            if entry.value == best:
                row.entries[column.title] = replace(entry, is_best=True)
    return found


def _plain(entry: TableValue) -> TableValue:
    return replace(entry, is_best=False) if entry.is_best else entry

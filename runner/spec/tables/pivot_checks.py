"""Checks the cells of a spec against its pivots: one cell a slot, and unique titles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.core.errors import Problem, nearest
from runner.core.run import Cell
from runner.spec.matching import setting_value
from runner.spec.names import short_name
from runner.spec.nodes import KIND_KEYS
from runner.spec.sizes import MAX_COLUMNS
from runner.spec.tables.column import Column
from runner.spec.tables.pivot import Pivot, is_value, pivoted_columns, show_value
from runner.spec.tables.table import Table, reserved_titles


def pivot_problems(table: Table, cells: Sequence[Cell]) -> Iterator[Problem]:
    """Yield the problems of a pivot: its titles, or several cells in one slot."""
    pivot = table.pivot
    assert pivot is not None
    column = table.column(pivot.column)
    assert column is not None
    first = {cell.position: cell for cell in reversed(cells)}
    value_at = {number: column_value(column, cell) for number, cell in first.items()}
    positions = [first[position] for position in sorted(first)]
    values = list(dict.fromkeys(value_at[cell.position] for cell in positions))
    count = len(values) * sum(each.is_metric for each in table.columns)
    if count > MAX_COLUMNS:
        found = f"pivot is {column.title}, whose {len(values)} values would make {count} columns"
        yield Problem(pivot.position, found, f"at most {MAX_COLUMNS} columns")
        return
    yield from _title_problems(pivot, values)
    for value, why in clashing_titles(table, values):
        written = (node for text, node in pivot.titles.items() if is_value(text, value))
        node = next(written, None)
        hint = "give each column a title of its own, as in titles: {…} of the pivot"
        yield Problem(pivot.position if node is None else node.position, why, hint=hint)
    yield from _shared_slots(table, positions)


def _title_problems(pivot: Pivot, values: Sequence[Any]) -> Iterator[Problem]:
    """Yield problems of titles: for values that no cell has, and for values titled twice."""
    texts = [show_value(value) for value in values]
    titled: list[Any] = []
    for written, node in pivot.titles.items():
        position = node.key_position or node.position
        meant = [value for value in values if is_value(written, value)]
        if not meant:
            found = f"a title for '{written}', which no cell has as its {pivot.column}"
            yield Problem(position, found, ", ".join(texts), suggestion=nearest(written, texts))
        elif any(value in titled for value in meant):
            found = f"'{written}' is the same {pivot.column} as one before it"
            yield Problem(position, found, hint="give each value one title")
        titled += meant


def clashing_titles(table: Table, values: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Yield (pivoted value, problem) for each duplicate or reserved title."""
    pivoted = pivoted_columns(table, values)
    reserved = reserved_titles([column.title for column, _, _ in pivoted])
    seen: set[str] = set()
    for column, _, value in pivoted:
        if column.title in seen:
            yield value, f"table {table.name} would have two columns '{column.title}'"
        elif column.title in reserved:
            uses = "which CSV, JSON and DataFrames use themselves"
            yield value, f"table {table.name} would have a column '{column.title}', {uses}"
        seen.add(column.title)


def _shared_slots(table: Table, cells: Sequence[Cell]) -> Iterator[Problem]:
    """Yield a problem for the first two cells that share a slot."""
    pivot = table.pivot
    assert pivot is not None
    groups = [column for column in table.columns if not column.is_metric]
    seen: dict[tuple[Any, ...], Cell] = {}
    for cell in cells:
        values = tuple(column_value(column, cell) for column in groups)
        other = seen.setdefault(values, cell)
        if other is cell:
            continue
        pairs = dict(_differing(other, cell))
        differing = ", ".join(f"{name} ({pair})" for name, pair in pairs.items())
        found = f"table {table.name} has two cells at {titled_values(groups, values)}, " + (
            f"which differ in {differing}" if pairs else "which are one run"
        )
        hint = f"a column for {' or '.join(pairs)} keeps them apart" if pairs else ""
        yield Problem(pivot.position, found, "one cell in each place", hint=hint)
        return


def titled_values(columns: Sequence[Column], values: Sequence[Any]) -> str:
    """Return values with the titles of their columns: ``(LR: 0.1, NET: mlp)``."""
    pairs = zip(columns, values, strict=True)
    return "(" + ", ".join(f"{column.title}: {show_value(value)}" for column, value in pairs) + ")"


def _differing(first: Cell, second: Cell) -> Iterator[tuple[str, str]]:
    """Yield (name, both values) for each label and swept setting that differs."""
    for label in dict.fromkeys((*first.labels, *second.labels)):
        pair = [cell.labels.get(label) for cell in (first, second)]
        if pair[0] != pair[1]:
            yield label, " and ".join(show_value(value) for value in pair)
    for path in dict.fromkeys((*first.swept, *second.swept)):
        values = (setting_value(cell.settings, path.split(".")) for cell in (first, second))
        yield from _differing_settings(path, *values)


def _differing_settings(path: str, first: Any, second: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, both values) for each difference at or below a path that a column can show."""
    pair = [show_value(_shown(value)) for value in (first, second)]
    if pair[0] != pair[1]:
        yield short_name(path), " and ".join(pair)
    elif isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys((*first, *second)):
            yield from _differing_settings(f"{path}.{key}", first.get(key), second.get(key))
    elif first != second:
        yield short_name(path), f"{first} and {second}"


def column_value(column: Column, cell: Cell) -> Any:
    """Return the value of a setting or label column for a cell, as the table's SQL gives it."""
    if column.is_label:
        return cell.labels.get(column.source)
    return _shown(setting_value(cell.settings, column.source.split(".")))


def _shown(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        named = next((value[key] for key in KIND_KEYS if value.get(key) is not None), None)
        if named is not None:
            return named
    if isinstance(value, Mapping | list):
        return json.dumps(value, separators=(",", ":"))
    return value

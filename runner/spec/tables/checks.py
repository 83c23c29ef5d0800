"""Checks tables against the cells: a column that no run can fill is an error before any work.

Owns the table of a spec without tables, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from runner.components.measures import is_metric
from runner.components.settings import Settings, available_metrics
from runner.core.errors import Problem, SpecError, nearest
from runner.core.reader import LAST
from runner.core.run import Cell
from runner.spec.analyses import Analyses
from runner.spec.names import SETTING_ROOTS, short_name
from runner.spec.nodes import Node, to_node
from runner.spec.options import setting_paths
from runner.spec.sizes import MAX_ANALYSIS_COLUMNS, MAX_COLUMNS, MAX_VALUES
from runner.spec.tables.column import AnalysisSource, Column
from runner.spec.tables.measured import how_to_record, metric_is_available
from runner.spec.tables.pivot import pivoted_columns
from runner.spec.tables.pivot_checks import column_value, pivot_problems
from runner.spec.tables.table import Table
from runner.spec.unknown import likely_settings

OF_A_ROW = {
    "seed": "put the seed in the sweep, as grid: {seed: [0, 1]}",
    "data.fold.index": "sweep data.fold in the place of folds, as rows: [{data.fold: {index: 1,"
    " of: 5}}, …]",
}
"""Settings in which the cells of a row differ, and how each of them gets a row of its own."""


def default_tables(
    name: str, cells: Sequence[Cell], settings: Settings, metrics: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the `tables` of a spec that declares none: varying settings, accuracies, own metrics.

    Args:
        name: of the spec.
        cells: all of them.
        settings: of the first.
        metrics: names of own ones.
    """
    columns: dict[str, Any] = {}
    for label in dict.fromkeys(label for cell in cells for label in cell.labels):
        columns[label if label.upper() in columns else label.upper()] = {"label": label}
    for path in dict.fromkeys(path for cell in cells for path in cell.swept):
        short = short_name(path)
        title = short.rpartition(".")[2].upper()
        columns[path if title in columns else title] = {"setting": short}
    if "val_accuracy" in available_metrics(settings):
        columns["VAL_ACC"] = {"metric": "val_accuracy", "mark": "max"}
    if settings.evaluate.test != "never":
        at = "last" if settings.evaluate.test == "last" else "best"
        columns["TEST_ACC"] = {"metric": "test_accuracy", "at": at, "mark": "max"}
    if not {"VAL_ACC", "TEST_ACC"} & set(columns):
        columns["TRAIN_ACC"] = {"metric": "train_accuracy", "mark": "max"}
    for metric in metrics:
        for split, accuracy in (("val", "VAL_ACC"), ("test", "TEST_ACC")):
            title = f"{split}_{metric}".upper()
            if accuracy in columns and title not in columns:
                at = columns[accuracy].get("at", "best")
                columns[title] = {"metric": f"{split}_{metric}", "at": at}
    return {name: columns}


def table_problems(
    tables: Iterable[Table],
    cells: Sequence[Cell],
    settings: Iterable[Settings],
    analyses: Analyses = MappingProxyType({}),
) -> Iterator[Problem]:
    """Yield the problems of tables, given all cells, their resolved settings and the analyses."""
    declared, shapes = list(tables), _Shapes(cells)
    _check_size(declared, cells)
    recorded = {_what_is_recorded(each): each for each in settings}
    distinct = list(recorded.values())
    for table in declared:
        problems: list[Problem] = []
        for column in table.columns:
            if column.is_setting:
                problems += _setting_problems(column, shapes)
                problems += _varying_problems(column, cells)
            elif column.analysis is not None:
                problems += _place_problems(column, column.analysis, analyses)
            elif column.is_metric:
                problems += _metric_problems(column, distinct)
        yield from problems
        if table.pivot is not None and not problems:
            yield from pivot_problems(table, cells)


def _check_size(tables: Sequence[Table], cells: Sequence[Cell]) -> None:
    for table in tables:
        titles = 0 if table.pivot is None else len(table.pivot.titles)
        if max(len(table.columns), titles) > MAX_COLUMNS:
            found = f"table {table.name} has {len(table.columns)} columns"
            found += f", and its pivot titles of {titles} values" if titles else ""
            raise SpecError([Problem(table.position, found, f"at most {MAX_COLUMNS}")])
        of_analyses = sum(column.analysis is not None for column in table.columns)
        if of_analyses > MAX_ANALYSIS_COLUMNS:
            found = f"table {table.name} has {of_analyses} columns of analyses"
            raise SpecError([Problem(table.position, found, f"at most {MAX_ANALYSIS_COLUMNS}")])
    count = sum(len(table.columns) for table in tables)
    if count * len(cells) > MAX_VALUES:
        found = f"tables of {count} columns in all, over {len(cells)} cells"
        raise SpecError([Problem(tables[0].position, found, f"a product of at most {MAX_VALUES}")])


def _what_is_recorded(settings: Settings) -> tuple[Any, ...]:
    train = settings.train
    keeps_last = train.best.monitor == LAST
    return available_metrics(settings), settings.evaluate.test, train.epochs, keeps_last


class _Shapes:
    """Settings of cells, one for each distinct set of names.

    Attributes:
        first: settings of the first cell.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.first = cells[0].settings
        self._cells = cells

    @cached_property
    def all(self) -> list[Any]:
        """The first settings of each distinct set of names."""
        seen = {id(cell.settings): cell.settings for cell in self._cells}
        shapes: dict[Any, Any] = {}
        for settings in seen.values():
            shapes.setdefault(_names_in(settings), settings)
        return list(shapes.values())


def _names_in(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    nested = [(key, value) for key, value in settings.items() if isinstance(value, Mapping)]
    return (*settings, *((key, _names_in(value)) for key, value in nested))


def _setting_problems(column: Column, shapes: _Shapes) -> Iterator[Problem]:
    path = column.source.split(".")
    if path[-1] in _mapping_at(shapes.first, path[:-1]):
        return
    if any(path[-1] in _mapping_at(settings, path[:-1]) for settings in shapes.all):
        return
    inside, names = _beside(path, shapes.all)
    spelling = nearest(path[len(inside)], names)
    found = f"column {column.title} shows {column.source}, which no run has"
    allowed = f"{'.'.join(inside) or 'a setting'}: {', '.join(names)}"
    suggestion = ".".join([*inside, spelling]) if spelling else ""
    if not spelling and column.source not in setting_paths(Settings):
        suggestion = likely_settings(path[-1], (), to_node(shapes.first))
    yield Problem(column.position, found, allowed, suggestion=suggestion)


def _varying_problems(column: Column, cells: Sequence[Cell]) -> Iterator[Problem]:
    """Yield the problem of a setting that the cells of one row have several values of."""
    hint = next((hint for path, hint in OF_A_ROW.items() if _touches(column.source, path)), "")
    if not hint:
        return
    first = {cell.position: cell for cell in reversed(cells)}
    if any(column_value(column, each) != column_value(column, first[each.position])
           for each in cells):  # fmt: skip
        found = f"column {column.title} shows {column.source}, but a row is over"
        found += " all of its seeds and folds, as their mean"
        yield Problem(column.position, found, hint=f"leave it out, or {hint}")


def _touches(source: str, path: str) -> bool:
    """Return whether one of two dotted paths is the other, or lies in it."""
    return f"{source}.".startswith(f"{path}.") or f"{path}.".startswith(f"{source}.")


def _beside(path: Sequence[str], settings: Sequence[Any]) -> tuple[Sequence[str], list[str]]:
    """Return the deepest mapping along ``path`` that some run has, and its settings."""
    for end in range(len(path) - 1, 0, -1):
        names = [name for each in settings for name in _mapping_at(each, path[:end])]
        if names:
            return path[:end], list(dict.fromkeys(names))
    return (), list(SETTING_ROOTS)


def _mapping_at(settings: Any, path: Sequence[str]) -> Mapping[str, Any]:
    for key in path:
        settings = settings.get(key) if isinstance(settings, Mapping) else None
    return settings if isinstance(settings, Mapping) else {}


def _metric_problems(column: Column, settings: Sequence[Settings]) -> Iterator[Problem]:
    assert column.formula is not None
    for name in column.formula.names:
        if not is_metric(name) or any(
            metric_is_available(name, column.at, each) for each in settings
        ):
            continue
        shown = column.formula.shown(name)
        found = f"column {column.title} shows {shown} at {column.at}, which no run has"
        allowed, hint = how_to_record(name, column.at, settings)
        yield Problem(column.position, found, allowed, hint=hint)


def _place_problems(
    column: Column, source: AnalysisSource, analyses: Analyses
) -> Iterator[Problem]:
    """Yield the problem of a column that shows no values of an analysis, or several as if one."""
    asked, wanted = analyses[source.name].settings, dict(source.where)
    places = asked.places_of(column.source)
    shown = f"column {column.title} shows {source.name}"
    dimensions = [name for name in asked.DIMENSIONS if name not in source.repeated]
    if places is None:
        if lacking := [name for name in dimensions if name not in wanted]:
            found = f"{shown} at no certain {' and '.join(lacking)}"
            yield Problem(column.position, found, hint="give each of them in `where`")
        return
    if not places:
        yield Problem(column.position, f"{shown} as {column.source}, which it does not record")
        return
    left = list(places)
    for name, value in wanted.items():
        values = dict.fromkeys(str(place[name]) for place in left if name in place)
        left = [place for place in left if place.get(name) == value]
        if not left:
            found = f"{shown} where {name} is {value!r}, which it is nowhere"
            yield Problem(
                column.position,
                found,
                ", ".join(values),
                suggestion=nearest(str(value), list(values)),
            )
            return
    if len(left) > 1:
        several = {
            name: dict.fromkeys(str(place[name]) for place in left if name in place)
            for name in dimensions
        }
        choices = [f"{name}: {', '.join(each)}" for name, each in several.items() if len(each) > 1]
        found = f"{shown} at several places at once"
        yield Problem(column.position, found, f"in `where`, one {'; one '.join(choices)}")


def published_problems(
    tables: Sequence[Table], published: Iterable[tuple[str, Node]]
) -> Iterator[Problem]:
    """Yield problems of published values without a column."""
    columns = [column for table in tables for column in table.columns]
    titles = dict.fromkeys(each.title for each in columns if each.is_metric)
    pivoted = _titles_of_pivots(tables)
    for title, node in published:
        if title in titles:
            continue
        what = "no metric" if any(each.title == title for each in columns) else "no column"
        what = "the title of a pivot in" if title in pivoted else f"{what} of"
        found = f"a published value for '{title}', which is {what} a table"
        spelling = pivoted.get(title) or nearest(title, list(titles))
        yield Problem(
            node.key_position or node.position, found, ", ".join(titles), suggestion=spelling
        )


def _titles_of_pivots(tables: Sequence[Table]) -> dict[str, str]:
    """Return the declared title of the metric by each title in a pivot's `titles`."""
    return {
        column.title: declared.title
        for table in tables
        if table.pivot is not None
        for column, declared, _ in pivoted_columns(table, list(table.pivot.titles))
        if declared.is_metric
    }

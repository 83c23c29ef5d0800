"""Tables held against the cells: a column that no run can fill is an error, before any work.

Owns these checks and the table that a spec without tables gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from runner.core.errors import Problem, nearest
from runner.core.reading import METRIC_NAMES
from runner.core.types import Cell
from runner.spec.names import SETTING_ROOTS, short_name
from runner.spec.nodes import Node
from runner.spec.settings import Settings, available_metrics, how_to_measure
from runner.spec.tables import Column, Table


def default_tables(name: str, cells: Sequence[Cell], settings: Settings) -> dict[str, Any]:
    """Return the `tables` of a spec that declares none: what varies, and the accuracies."""
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
    return {name: columns}


def table_problems(
    tables: Iterable[Table], cells: Sequence[Cell], settings: Iterable[Settings]
) -> Iterator[Problem]:
    """Yield what is wrong with the tables, given all cells and their resolved settings."""
    distinct = list(settings)
    for table in tables:
        for column in table.columns:
            if column.kind == "setting":
                yield from _setting_problems(column, cells)
            elif column.kind == "metric":
                yield from _metric_problems(column, distinct)


def _setting_problems(column: Column, cells: Sequence[Cell]) -> Iterator[Problem]:
    path = column.source.split(".")
    seen = {id(cell.settings): cell.settings for cell in cells}
    if any(path[-1] in _mapping_at(settings, path[:-1]) for settings in seen.values()):
        return
    inside, names = _beside(path, list(seen.values()))
    spelling = nearest(path[len(inside)], names)
    found = f"column {column.title} shows {column.source}, which no run has"
    allowed = f"{'.'.join(inside) or 'a setting'}: {', '.join(names)}"
    suggestion = ".".join([*inside, spelling]) if spelling else ""
    yield Problem(column.place, found, allowed, suggestion)


def _beside(path: Sequence[str], settings: Sequence[Any]) -> tuple[Sequence[str], list[str]]:
    """Return the deepest mapping along ``path`` that a run has, and the settings in it."""
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
        if name not in METRIC_NAMES or any(
            metric_is_recorded(name, column.at, each) for each in settings
        ):
            continue
        found = f"column {column.title} shows {name} at {column.at}, which no run has"
        yield Problem(column.place, found, _how_to_record(name, column.at, settings))


def _how_to_record(name: str, at: str | int, settings: Sequence[Settings]) -> str:
    epochs = max(each.train.epochs for each in settings)
    if isinstance(at, int) and at > epochs:
        return f"an epoch up to {epochs} (train.epochs)"
    measured = sorted({metric for each in settings for metric in available_metrics(each)})
    if not name.startswith("test_"):
        _, how = how_to_measure(name)
        return f"{how}, or a metric that is measured: {', '.join(measured)}"
    wanted = f"{at} or each_epoch" if at in ("best", "last") else "each_epoch"
    known = sorted({each.evaluate.test for each in settings} & {"best", "last"})
    others = f", or at: {' or '.join(known)}" if known else ""
    return f"evaluate.test: {wanted}{others}"


def metric_is_recorded(name: str, at: str | int, settings: Settings) -> bool:
    """Return whether such a run has metric ``name`` at the epoch that ``at`` chooses."""
    if isinstance(at, int) and at > settings.train.epochs:
        return False
    if name in available_metrics(settings):
        return True
    if not name.startswith("test_"):
        return False
    return settings.evaluate.test == at or (
        settings.evaluate.test != "never" and at in ("min", "max")
    )


def published_problems(
    tables: Sequence[Table], published: Iterable[tuple[str, Node]]
) -> Iterator[Problem]:
    """Yield the published values that belong to no column."""
    titles = list(dict.fromkeys(column.title for table in tables for column in table.columns))
    for title, node in published:
        if title not in titles:
            found = f"a published value for '{title}', which is no column of a table"
            place = node.key_place or node.place
            yield Problem(place, found, ", ".join(titles), nearest(title, titles))

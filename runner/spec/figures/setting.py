"""Columns of a figure over a setting, with the checks of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from runner.components.settings import Settings
from runner.core.errors import SpecError, UsageError
from runner.core.run import Cell
from runner.spec.figures.declared import DeclaredFigure
from runner.spec.figures.kinds import SettingFigure
from runner.spec.folds import FOLD_INDEX
from runner.spec.names import setting_path, short_name
from runner.spec.nodes import Node, to_node
from runner.spec.tables.checks import table_problems
from runner.spec.tables.column import Column
from runner.spec.tables.measured import metric_is_recorded
from runner.spec.tables.pivot_checks import column_value
from runner.spec.tables.table import Table, parse_tables
from runner.spec.unknown import likely_settings


def setting_table(
    cells: Sequence[Cell],
    settings: Sequence[Settings],
    figure: DeclaredFigure,
    own: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Column, Table]:
    """Return the column on the x axis, and a table of the metrics.

    Args:
        cells: what is drawn.
        settings: of these cells.
        figure: of kind ``setting``.
        own: full names of the spec's own metrics, and those under which they are stored.

    Raises:
        UsageError: for an x that does not exist, is not the only one or is averaged over; or when
            no run has accuracies at that epoch.
        SpecError: for a metric that is unknown or that no run has.
    """
    asked = figure.settings
    assert isinstance(asked, SettingFigure)
    labels = list(dict.fromkeys(label for cell in cells for label in cell.labels))
    x = _x_name(cells, labels, figure)
    x_node = figure.tree.get("x") or Node(x, figure.position(), figure.position())
    x_column = _column(x_node, cells, labels)
    given = figure.tree.get("metrics")
    wanted = list(given.value) if given is not None and given.value else []
    if not wanted:
        position = figure.position()
        metrics = _default_metrics(settings, asked.at)
        wanted = [Node(metric, position, position) for metric in metrics]
    columns = {
        node.value: Node({"metric": node, "at": Node(asked.at)}, node.position) for node in wanted
    }
    (table,) = parse_tables(Node({"plot": Node(columns)}), labels, metrics=own)
    problems = list(table_problems([table], cells, settings))
    if problems:
        raise SpecError(problems)
    return x_column, table


def _x_name(cells: Sequence[Cell], labels: Sequence[str], figure: DeclaredFigure) -> str:
    assert isinstance(figure.settings, SettingFigure)
    x = figure.settings.x
    varying = _varying(cells, labels)
    listed = ", ".join(varying) or "nothing varies between the cells"
    if x is None:
        if len(varying) == 1:
            return varying[0]
        found = "which setting is on the x axis?"
        raise UsageError(found, allowed=listed, hint=figure.advice("x"))
    if x not in labels and setting_path(x) is None:
        tree = to_node(cells[0].settings) if cells else None
        suggestion = likely_settings(x, [*varying, *labels], tree)
        found = f"{figure.words('x')} is no setting and no label"
        raise UsageError(found, allowed=listed, suggestion=suggestion)
    if x == "seed" and x not in labels and not any(x in cell.swept for cell in cells):
        found = f"{figure.words('x')}: seeds are averaged"
        raise UsageError(found, allowed=listed, hint="give another setting")
    is_fold = x not in labels and f"{FOLD_INDEX}.".startswith(f"{x}.")
    if is_fold and any(cell.fold for cell in cells):
        found = f"{figure.words('x')}: folds are averaged"
        raise UsageError(found, allowed=listed, hint="give another setting")
    return x


def _varying(cells: Sequence[Cell], labels: Sequence[str]) -> list[str]:
    """Return the swept settings that differ between cells; labels where there are none."""
    paths = dict.fromkeys(path for cell in cells for path in cell.swept if path != "seed")
    settings = [
        short_name(path)
        for path in paths
        if len({str(column_value(_column(Node(path), cells, labels), cell)) for cell in cells}) > 1
    ]
    return settings or list(labels)


def _column(node: Node, cells: Sequence[Cell], labels: Sequence[str]) -> Column:
    kind = "label" if node.value in labels else "setting"
    tree = Node({"plot": Node({"x": Node({kind: node}, node.position)}, node.position)})
    (table,) = parse_tables(tree, labels)
    problems = list(table_problems([table], cells, ()))
    if problems:
        raise SpecError(problems)
    return table.columns[0]


def _default_metrics(settings: Sequence[Settings], at: str | int) -> list[str]:
    """Return training and validation (or test) accuracy, and their difference.

    They are those that all runs have, or where there are none, that some have.

    Raises:
        UsageError: when no run has any.
    """

    def found(enough: Callable[[Iterable[bool]], bool], *names: str) -> list[str]:
        """Return the first of the names that enough runs have."""
        has = (enough(metric_is_recorded(name, at, each) for each in settings) for name in names)
        return [name for name, is_found in zip(names, has, strict=True) if is_found][:1]

    for enough in (all, any):
        train = found(enough, "train_eval_accuracy", "train_accuracy")
        held_out = found(enough, "val_accuracy", "test_accuracy")
        if train and held_out:
            return [*train, *held_out, f"{train[0]} - {held_out[0]}"]
        if train or held_out:
            return train or held_out
    epochs = max(each.train.epochs for each in settings)
    words = f"no run has accuracies at epoch {at}"
    raise UsageError(words, allowed=f"an epoch up to {epochs} (train.epochs)")

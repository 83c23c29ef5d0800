"""Tables declared in a spec: their columns, order and pivot.

Owns parsing of a table; columns and pivots parse themselves. Compiles nothing to SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from runner.core.errors import Problem, SourcePosition, SpecError, nearest
from runner.spec.analyses import Analyses
from runner.spec.nodes import Node
from runner.spec.tables.column import Column
from runner.spec.tables.columns import Known, parse_column
from runner.spec.tables.melt import Melt, parse_melt
from runner.spec.tables.pivot import Pivot, parse_pivot

TABLE_KEYS = ("columns", "pivot", "melt", "order", "about")
EXPORTED_SUFFIXES = ("_std", "_n", "_published", "_within", "_difference", "_holds")


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table.

    Attributes:
        order: (column title, descending) pairs; () keeps the order of the spec.
        pivot: what becomes of the rows before they are shown, or None.
        melt: likewise; a table has one of them.
    """

    name: str
    about: str
    columns: tuple[Column, ...]
    order: tuple[tuple[str, bool], ...]
    position: SourcePosition | None
    pivot: Pivot | None = None
    melt: Melt | None = None

    def column(self, title: str) -> Column | None:
        """Return the column of that title, or None."""
        return next((column for column in self.columns if column.title == title), None)


def parse_tables(
    node: Node | None,
    labels: Sequence[str],
    analyses: Analyses = MappingProxyType({}),
    metrics: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Table, ...]:
    """Return the tables of a spec.

    Args:
        node: the spec's ``tables`` mapping, or None.
        labels: names of all labels in the spec.
        analyses: of the spec.
        metrics: full names of its own metrics, and those under which they are stored.

    Raises:
        SpecError: for a column that is neither setting, label nor metric.
    """
    if node is None:
        return ()
    if not node.is_mapping or not node.value:
        raise SpecError([Problem(node.position, f"tables is {node.describe()}", "tables by name")])
    known = Known(labels, analyses, metrics)
    return tuple(_table(name, child, known) for name, child in node.value.items())


def _table(name: str, node: Node, known: Known) -> Table:
    position = node.key_position or node.position
    if not node.is_mapping or not node.value:
        allowed = "columns, as {LR: lr, TEST_ACC: {metric: test_accuracy}}"
        raise SpecError([Problem(position, f"table {name} is {node.describe()}", allowed)])
    columns_node, options = node, Node({}, node.position)
    if "columns" in node.value:
        columns_node, options = node.value["columns"], node
        for key, child in node.value.items():
            if key not in TABLE_KEYS:
                found = f"unknown key '{key}' in table {name}"
                allowed = ", ".join(TABLE_KEYS)
                where = child.key_position or child.position
                raise SpecError(
                    [Problem(where, found, allowed, suggestion=nearest(key, TABLE_KEYS))]
                )
        if not columns_node.is_mapping or not columns_node.value:
            found = f"columns is {columns_node.describe()}"
            raise SpecError([Problem(columns_node.position, found, "columns by title")])
    columns = tuple(
        parse_column(title, child, known) for title, child in columns_node.value.items()
    )
    about = options.get("about") or Node("")
    if not isinstance(about.value, str):
        raise SpecError([Problem(about.position, f"about is {about.describe()}", "text")])
    titles = [column.title for column in columns]
    _check_titles(titles, columns_node)
    melt = _melt(options, columns, name)
    pivot = parse_pivot(options.get("pivot"), columns, name)
    if pivot is not None:
        titles = [each.title for each in columns if not each.is_metric]
        titles.remove(pivot.column)
    if melt is not None:
        titles = [each.title for each in columns if not each.is_metric]
    kind = "column of the pivoted rows" if pivot else "column that melt leaves"
    order = _order(options.get("order"), titles, kind if pivot or melt else "column")
    return Table(name, about.value, columns, order, position, pivot, melt)


def _melt(options: Node, columns: Sequence[Column], name: str) -> Melt | None:
    node = options.get("melt")
    if node is not None and options.get("pivot") is not None:
        found = f"table {name} has a pivot and a melt, which is the other way round"
        raise SpecError([Problem(node.key_position, found, hint="leave one of them out")])
    melt = parse_melt(node, columns, name)
    if melt is not None and node is not None:
        _check_titles([melt.names, melt.values], node)
    return melt


def reserved_titles(titles: Sequence[str]) -> set[str]:
    """Return the titles that exported tables give to columns of their own."""
    return {"status", *(f"{title}{suffix}" for title in titles for suffix in EXPORTED_SUFFIXES)}


def _check_titles(titles: Sequence[str], columns: Node) -> None:
    reserved = reserved_titles(titles)
    for title in titles:
        if title in reserved:
            found = f"the column title '{title}', which CSV, JSON and DataFrames use themselves"
            titled = columns.get(title)
            position = columns.position if titled is None else titled.key_position
            raise SpecError([Problem(position, found, hint="give it another title")])


def _order(node: Node | None, titles: Sequence[str], kind: str) -> tuple[tuple[str, bool], ...]:
    if node is None:
        return ()
    order = []
    for item in node.value if node.is_sequence else (node,):
        text = item.value if isinstance(item.value, str) else ""
        title = text.removeprefix("-")
        if title not in titles:
            found = f"order by {item.describe()}, which is no {kind}"
            problem = Problem(
                item.position,
                found,
                ", ".join(titles),
                hint="put - before a title to sort it in descending order",
                suggestion=nearest(title, titles),
            )
            raise SpecError([problem])
        order.append((title, text.startswith("-")))
    return tuple(order)
